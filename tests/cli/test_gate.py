"""`redrec gate`: an experiment is decided from its tables and the fields of its plan."""

import json
from pathlib import Path

import pytest

from cli.demo_run import DemoFolder, plan_of, planted_experiment, write_experiment
from cli.main import main
from redrec.experiments.simulation import simulate
from redrec.folders import read_json
from tests.cli.conftest import status_and_error


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
    assert (status, "exposures" in error, "cannot be read" in error) == (2, True, True)
    (tmp_path / "plan.json").write_text(json.dumps(read_json(experiment.plan) | {"dayz": 7}))
    status, error = status_and_error(capsys, *words(experiment, tmp_path / "plan.json"))
    assert (status, "dayz" in error) == (2, True)
    status, error = status_and_error(capsys, *words(experiment), "--through", "tomorrow")
    assert (status, "--through" in error) == (2, True)
