"""Experiments: decided from files, kept in a ledger that replays, reported in a folder."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redrec.config import InputError
from redrec.experiments.experiment import Experiment, experiment_in, write_reports
from redrec.experiments.ledger import read_ledger
from redrec.folders import read_json, write_json
from tests.experiments.logs import START, planned, simulated, written


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    tables = simulated(2, effects={"homefeed": 0.3, "ads": -0.4}, num_users=3_000)
    return Experiment(*written(tables, tmp_path_factory.mktemp("case")), planned())


def test_each_days_decision_is_what_the_gate_said_on_that_day(case):
    looks = case.decide()
    assert [look.look for look in looks] == [1, 2, 3, 4, 5, 6, 7]
    for look in (looks[2], looks[6]):
        (*_, alone) = case.decide(START + timedelta(days=look.look))
        assert alone.scenarios == look.scenarios
    verdicts = {name: decision.verdict for name, decision in looks[-1].scenarios.items()}
    assert verdicts == {"homefeed": "promote", "search": "hold", "ads": "rollback"}


def test_a_gate_that_runs_every_day_leaves_a_ledger_that_replays(case, tmp_path):
    path = tmp_path / "ledger.jsonl"
    for day in (3, 3, 7):
        case.decide(START + timedelta(days=day), path)
    assert [entry.result.look for entry in read_ledger(path)] == [3, 7]
    assert [one.comparison for one in case.replay(path)] == ["the same", "the same"]
    exposures = written(simulated(3, num_users=3_000), tmp_path)[0]
    assert {one.comparison for one in case._replace(exposures=exposures).replay(path)} == {"other data"}


def test_a_replay_does_not_see_what_came_later(tmp_path):
    """Users in both arms from the fourth day on are no fault of the third day."""
    tables = simulated(2, num_users=1_000)
    late = START + timedelta(days=3, hours=1)
    moved = tables.exposures.filter(pc.field("timestamp") > late)
    arms = pa.array(["control" if arm == "treatment" else "treatment" for arm in moved["arm"].to_pylist()])
    moved = moved.set_column(moved.schema.get_field_index("arm"), "arm", arms)
    before = tables.exposures.filter(pc.field("timestamp") <= late)
    experiment = Experiment(
        *written(tables._replace(exposures=pa.concat_tables([before, moved])), tmp_path), planned(min_users=10)
    )
    ledger = tmp_path / "ledger.jsonl"
    experiment.decide(START + timedelta(days=3), ledger)
    (replayed,) = experiment.replay(ledger)
    assert (replayed.comparison, replayed.result.verdict) == ("the same", "hold")
    assert {one.rule for one in experiment.decide()[-1].scenarios.values()} == {"both_arms"}


def test_a_plan_that_was_edited_is_invalid_and_leaves_the_ledger_as_it_is(case, tmp_path):
    path = tmp_path / "ledger.jsonl"
    case.decide(START + timedelta(days=3), path)
    (result,) = case._replace(plan=planned(alpha=0.4)).decide(None, path)
    assert {decision.rule for decision in result.scenarios.values()} == {"plan_changed"}
    assert result.verdict == "invalid"
    assert len(read_ledger(path)) == 1


def test_a_folder_has_one_of_each_table_and_a_plan(case, tmp_path):
    folder = tmp_path / "batch" / "one"
    folder.mkdir(parents=True)
    written(simulated(2), folder)
    write_json(folder / "plan.json", planned().model_dump(mode="json"))
    assert experiment_in(folder) == Experiment(folder / "exposures.parquet", folder / "outcomes.parquet", planned())
    (folder / "exposures.csv").touch()
    with pytest.raises(InputError, match=r"exposures\.\*.*seen: exposures\.csv, exposures\.parquet"):
        experiment_in(folder)


def test_the_reports_have_the_newest_result_and_a_picture_per_scenario(case, tmp_path):
    looks = case.decide()
    files = write_reports(looks, case.plan, tmp_path / "out")
    assert read_json(files.decisions) == looks[-1].model_dump(mode="json", by_alias=True)
    assert "| ads | rollback |" in files.markdown.read_text()
    assert files.page.read_text().count("<svg") == 9


def test_names_of_scenarios_are_texts_in_the_page(tmp_path):
    hostile = "<script>alert(1)</script>"
    tables = simulated(2, num_users=300)
    tables = type(tables)(*(renamed(table, "ads", hostile) for table in tables))
    plan = planned(scenarios=("homefeed", hostile))
    case = Experiment(*written(tables, tmp_path), plan)
    page = write_reports(case.decide(), plan, tmp_path / "out").page.read_text()
    assert hostile not in page
    assert "&lt;script&gt;" in page


def renamed(table: pa.Table, old: str, new: str) -> pa.Table:
    names = [new if name == old else name for name in table["scenario"].to_pylist()]
    return table.set_column(table.schema.get_field_index("scenario"), "scenario", pa.array(names))
