"""`redrec gate`: an experiment is decided from its tables and the fields of its plan."""

import json
import shutil
from pathlib import Path

import pytest

from cli.demo_run import DemoFolder, plan_of, planted_experiment, write_experiment
from cli.main import main
from redrec.experiments.allocation import Allocation
from redrec.experiments.plan import Plan
from redrec.experiments.simulation import simulate
from redrec.folders import read_json
from tests.cli.conftest import status_and_error
from tests.experiments.logs import planned, simulated, written
from tests.serving.config_map_api import NAME, config_map_api
from tests.spark import on_spark

FILES = {"exposures": "exposures.parquet", "outcomes": "outcomes.parquet", "plan": "plan.json"}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    simulation, files = planted_experiment(["feed", "search", "ads"]), DemoFolder(tmp_path_factory.mktemp("gate"))
    write_experiment(simulate(simulation, plan_of(simulation)), plan_of(simulation), files)
    return files


def words(files: DemoFolder, plan: Path | None = None) -> list[str]:
    tables = ["--exposures", str(files.exposures), "--outcomes", str(files.outcomes)]
    return ["gate", *tables, "--plan", str(plan or files.plan)]


def test_the_planted_effects_decide(experiment: DemoFolder, capsys: pytest.CaptureFixture[str]):
    assert main([*words(experiment), "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert (decided["experiment"], decided["verdict"], decided["look"]) == ("demo", "rollback", 7)
    verdicts = {scenario: decision["verdict"] for scenario, decision in decided["scenarios"].items()}
    assert verdicts == {"feed": "promote", "search": "hold", "ads": "rollback"}
    feed = decided["scenarios"]["feed"]["metrics"]["click/impression"]
    assert feed["low"] < 0.15 < feed["high"]


@on_spark
def test_spark_decides_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "one").mkdir()
    written(simulated(1, num_users=100), tmp_path / "one")
    (tmp_path / "one" / "plan.json").write_text(planned().model_dump_json())
    files = [f"--{name}={tmp_path / 'one' / file}" for name, file in FILES.items()]
    batch, results = [f"--batch={tmp_path}"], []
    for words_of_tables, engine in ((files, "duckdb"), (batch, "duckdb"), (batch, "spark")):
        assert main(["gate", *words_of_tables, "--engine", engine, "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[1] == results[2] == {"folder": "one", **results[0]}


def test_before_the_end_harm_is_decided_and_a_promotion_is_not(
    experiment: DemoFolder, capsys: pytest.CaptureFixture[str]
):
    assert main([*words(experiment), "--through", "2026-01-09"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [["feed", "hold"], ["search", "hold"], ["ads", "rollback"]]
    assert "day 4 of 7; a promotion may be decided after day 7" in rows[0]


def test_what_is_no_table_and_no_plan_is_refused(
    experiment: DemoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = DemoFolder(tmp_path)
    other.exposures, other.outcomes, other.plan = experiment.plan, experiment.outcomes, experiment.plan
    status, error = status_and_error(capsys, *words(other))
    assert (status, "The exposures have no column exposure_id" in error) == (2, True)
    (tmp_path / "plan.json").write_text(json.dumps(read_json(experiment.plan) | {"dayz": 7}))
    status, error = status_and_error(capsys, *words(experiment, tmp_path / "plan.json"))
    assert (status, "dayz" in error) == (2, True)
    status, error = status_and_error(capsys, *words(experiment), "--through", "tomorrow")
    assert (status, "--through" in error) == (2, True)


def test_every_look_the_reports_and_the_ledger(
    experiment: DemoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    ledger, out = tmp_path / "ledger.jsonl", tmp_path / "out"
    options = ["--ledger", str(ledger), "--out", str(out), "--looks", "all"]
    assert main([*words(experiment), *options, "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert [look["look"] for look in decided["looks"]] == [1, 2, 3, 4, 5, 6, 7]
    assert decided["looks"][-1]["scenarios"] == decided["scenarios"] == read_json(out / "decisions.json")["scenarios"]
    assert main([*words(experiment), "--ledger", str(ledger), "--replay"]) == 0
    assert "the same" in capsys.readouterr().out
    (tmp_path / "plan.json").write_text(json.dumps(read_json(experiment.plan) | {"alpha": 0.2}))
    assert main([*words(experiment, tmp_path / "plan.json"), "--ledger", str(ledger)]) == 0
    assert "the plan differs" in capsys.readouterr().out


def test_a_dry_run_shows_what_applying_then_does(
    experiment: DemoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    allocation = tmp_path / "allocation.json"
    allocation.write_text(json.dumps({"plan": read_json(experiment.plan)}))
    command = [*words(experiment)[:-2], "--allocation", str(allocation), "--json"]
    acted = []
    for options in ([], ["--apply"], ["--apply"]):
        assert main([*command, *options]) == 0
        acted.append(json.loads(capsys.readouterr().out)["allocation"])
    assert [bool(one["changes"]) for one in acted] == [True, True, False]
    assert acted[0]["changes"] == acted[1]["changes"]
    assert read_json(allocation)["serves"] == {"feed": "treatment", "search": "control", "ads": "control"}


def test_a_config_map_is_changed_by_the_plan_that_it_has(
    experiment: DemoFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    planned = Allocation(plan=Plan.model_validate(read_json(experiment.plan)))
    command = [*words(experiment)[:-2], "--allocation", str(NAME), "--apply", "--json"]
    with config_map_api(planned, tmp_path, monkeypatch) as api:
        acted = []
        for _ in range(2):
            assert main(command) == 0
            acted.append(json.loads(capsys.readouterr().out)["allocation"]["changes"])
    assert [bool(changes) for changes in acted] == [True, False]
    assert (api.version, api.allocation.serves) == (2, {"feed": "treatment", "search": "control", "ads": "control"})


def test_a_batch_decides_the_others_where_one_cannot_be_read(
    experiment: DemoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("a", "b"):
        shutil.copytree(experiment.plan.parent, tmp_path / name)
    (tmp_path / "a" / "plan.json").unlink()
    status = main(["gate", "--batch", str(tmp_path), "--json"])
    broken, decided = map(json.loads, capsys.readouterr().out.splitlines())
    assert (status, broken["folder"], decided["folder"], decided["verdict"]) == (2, "a", "b", "rollback")
    assert "plan.*" in broken["error"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--plan", "plan.json"], "--exposures, --outcomes is missing"),
        (["--batch", ".", "--plan", "plan.json"], "Leave out the options of one experiment"),
        (
            ["--exposures", "e", "--outcomes", "o", "--plan", "PLAN", "--apply"],
            "--apply changes what --allocation names",
        ),
        (["--exposures", "e", "--outcomes", "o", "--plan", "PLAN", "--replay"], "--replay needs a ledger"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    experiment: DemoFolder, capsys: pytest.CaptureFixture[str], options: list[str], expected: str
):
    given = [str(experiment.plan) if option == "PLAN" else option for option in options]
    status, error = status_and_error(capsys, "gate", *given)
    assert (status, expected in error) == (2, True)


def test_a_state_makes_the_next_look_the_same(
    experiment: DemoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    state = ["--state", str(tmp_path / "state"), "--json"]
    assert main([*words(experiment), *state, "--through", "2026-01-10"]) == 0
    capsys.readouterr()
    assert main([*words(experiment), *state]) == main([*words(experiment), "--json"]) == 0
    with_state, without = capsys.readouterr().out.splitlines()
    assert with_state == without
    status, error = status_and_error(capsys, *words(experiment), "--state", str(experiment.plan.parent))
    assert (status, "is no folder of `redrec gate --state`" in error) == (2, True)
    status, error = status_and_error(capsys, *words(experiment), *state, "--engine", "spark")
    assert (status, "--state is for tables that DuckDB reads" in error) == (2, True)
