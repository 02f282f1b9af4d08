"""Demo drift: the planted change is found in its scenario, and in no other."""

from pathlib import Path

from cli.demo_drift import planted_drift, planted_text
from redrec.datasets.world import World, WorldConfig


def test_the_planted_week_drifts_in_its_scenario_alone(tmp_path: Path):
    events, items = World(WorldConfig(num_users=4000, num_items=500)).write(tmp_path)
    planted = planted_drift(
        events, items, "ads", tmp_path / "weeks" / "before.parquet", tmp_path / "weeks" / "now.parquet"
    )
    assert planted.drift.verdicts == {"ads": "drift", "homefeed": "stable", "search": "stable"}
    assert "a third of the events are 'hide'" in planted_text(planted)
    assert planted.drift.scenarios["ads"].columns["action"].verdict == "new_category"
