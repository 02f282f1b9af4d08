"""State: a look that reads only new rows decides what a look at the whole tables decides."""

import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redrec.config import InputError
from redrec.experiments.gate import decide_log, read
from redrec.experiments.plan import Plan
from redrec.experiments.simulation import SimulatedTables
from redrec.folders import GateState
from tests.experiments.logs import START, planned, simulated, written


def at(days: float):
    return START + timedelta(days=days)


@pytest.fixture(scope="module")
def tables() -> SimulatedTables:
    """Each with a row of a user who meets the other arm on the last day."""
    tables = simulated(4, num_users=1_500, effects={"ads": 0.4})
    moved = tables.exposures.filter(pc.field("scenario") == "ads").slice(0, 1).to_pandas()
    moved["arm"] = {"control": "treatment", "treatment": "control"}[moved["arm"][0]]
    moved["exposure_id"], moved["timestamp"] = "moved", at(6.5)
    late = pa.Table.from_pandas(moved, schema=tables.exposures.schema)
    return tables._replace(exposures=pa.concat_tables([tables.exposures, late]))


def look(folder: Path, tables: SimulatedTables, days: float | None, state: Path | None, plan: Plan | None = None):
    plan, through = plan or planned(), None if days is None else at(days)
    log = read(*written(tables, folder), plan, through, state=state)
    return decide_log(log, plan, through)


def since(tables: SimulatedTables, days: float) -> SimulatedTables:
    return SimulatedTables(*(table.filter(pc.field("timestamp") >= at(days)) for table in tables))


@pytest.mark.parametrize("applies", ["per_scenario", "shared"])
def test_looks_with_a_state_decide_what_looks_at_the_whole_tables_decide(tables, tmp_path, applies):
    plan = planned(applies=applies, max_both_arms_share=0.2)
    if applies == "shared":
        tables = simulated(4, plan, num_users=1_500)
    for days in (2, 3.4, 6, 7):
        assert look(tmp_path, tables, days, tmp_path / "state", plan) == look(tmp_path, tables, days, None, plan)
    assert json.loads(GateState(tmp_path / "state").counts.read_text())["days"] == 7


def test_a_state_keeps_what_users_did_before_the_start(tables, tmp_path):
    """Users who are first exposed after the state have a covariate, too."""
    plan = planned(start=at(2), days=5, covariate_days=2, max_both_arms_share=0.2)
    look(tmp_path, tables, 4.5, tmp_path / "state", plan)
    kept = json.loads(GateState(tmp_path / "state").counts.read_text())["days"]
    assert kept == 2
    whole = look(tmp_path, tables, 6, None, plan)
    assert look(tmp_path, since(tables, 2 + kept), 6, tmp_path / "state", plan) == whole
    assert whole != look(tmp_path, tables, 6, None, plan.model_copy(update={"covariate_days": 0}))


def test_a_look_needs_only_the_rows_since_the_state(tables, tmp_path):
    look(tmp_path, tables, 4.2, tmp_path / "state")
    assert look(tmp_path, since(tables, 4), 6, tmp_path / "state") == look(tmp_path, tables, 6, None)
    assert look(tmp_path, since(tables, 5.9), 6, None).scenarios["ads"].look < 6  # without it they do not suffice


def test_an_id_of_an_earlier_look_with_other_content_is_a_fault(tables, tmp_path):
    look(tmp_path, tables, 3, tmp_path / "state")
    again = tables.outcomes.filter(pc.field("scenario") == "ads").slice(0, 2).to_pandas()
    again["timestamp"] = at(4.5)
    outcomes = pa.concat_tables([tables.outcomes, pa.Table.from_pandas(again, schema=tables.outcomes.schema)])
    result = look(tmp_path, tables._replace(outcomes=outcomes), 5, tmp_path / "state")
    assert result.scenarios["ads"].rule == "faults"
    assert "outcomes with the event_id of another" in result.scenarios["ads"].reason
    assert json.loads(GateState(tmp_path / "state").counts.read_text())["days"] == 3  # the tables will be corrected
    assert look(tmp_path, tables, 5, tmp_path / "state") == look(tmp_path, tables, 5, None)


def test_another_plan_or_an_earlier_time_reads_the_whole_tables(tables, tmp_path):
    look(tmp_path, tables, 5, tmp_path / "state")
    assert look(tmp_path, tables, 3, tmp_path / "state") == look(tmp_path, tables, 3, None)
    assert json.loads(GateState(tmp_path / "state").counts.read_text())["days"] == 5
    other = planned(attribution_hours=12)
    assert look(tmp_path, tables, 4, tmp_path / "state", other) == look(tmp_path, tables, 4, None, other)


def test_a_look_without_a_complete_day_keeps_nothing(tables, tmp_path):
    look(tmp_path, tables, 0.5, tmp_path / "state")
    without = SimulatedTables(*(table.filter(pc.field("scenario") != "ads") for table in tables))
    look(tmp_path, without, 5, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_folder_of_something_else_is_refused_and_left(tables, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is no folder of `redrec gate --state`"):
        look(tmp_path, tables, 5, tmp_path / "mine")
    assert (tmp_path / "mine" / "note.txt").read_text() == "mine"


def test_rows_that_come_late_for_kept_days_do_not_count(tables, tmp_path):
    early = tables._replace(outcomes=tables.outcomes.filter(pc.field("timestamp") < at(2.8)))
    first = look(tmp_path, early, 3, tmp_path / "state")
    assert look(tmp_path, tables, 3, tmp_path / "state") == first
    assert look(tmp_path, tables, 3, None) != first
    waiting = planned(watermark_hours=24)  # the day is not complete yet
    look(tmp_path, early, 3, tmp_path / "waiting", waiting)
    assert look(tmp_path, tables, 4, tmp_path / "waiting", waiting) == look(tmp_path, tables, 4, None, waiting)
