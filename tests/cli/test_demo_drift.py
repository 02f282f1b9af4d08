"""Demo drift: the planted change is found in its scenario, and in no other."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.demo_drift import planted_drift, planted_text
from redrec.datasets.world import World, WorldConfig


def test_the_planted_week_drifts_in_its_scenario_alone(tmp_path: Path):
    events, items = World(WorldConfig(num_users=4000, num_items=500)).write(tmp_path)
    planted = planted_drift(events, items, tmp_path / "weeks" / "before.parquet", tmp_path / "weeks" / "now.parquet")
    assert planted.scenario == "ads"
    assert planted.drift.verdicts == {"ads": "drift", "homefeed": "stable", "search": "stable"}
    assert "a third of the events are 'hide'" in planted_text(planted)
    assert planted.drift.scenarios["ads"].columns["action"].verdict == "new_category"


def test_weeks_are_whole_days_also_where_one_has_no_events_and_a_scenario_too_few_users(tmp_path: Path):
    events, items = World(WorldConfig(num_users=4000, num_items=500)).write(tmp_path)
    log = pq.read_table(events)
    day = pc.floor_temporal(log["timestamp"], unit="day")
    closed = pc.subtract(pc.max(day), timedelta(days=7))
    log = log.filter(pc.not_equal(day, closed))
    is_few = pc.and_(pc.equal(log["scenario"], "ads"), pc.ends_with(log["user_id"], "99"))
    scenario = pc.if_else(is_few, pa.scalar("coupon"), log["scenario"])
    pq.write_table(log.set_column(log.schema.get_field_index("scenario"), "scenario", scenario), events)

    planted = planted_drift(events, items, tmp_path / "before.parquet", tmp_path / "now.parquet")
    assert planted.scenario == "ads"
    assert planted.drift.verdicts["ads"] == "drift"
    assert planted.drift.verdicts["coupon"] == "insufficient"
    newest = pc.max(pq.read_table(tmp_path / "now.parquet")["timestamp"])
    assert pc.less(newest, pc.max(day)).as_py()
