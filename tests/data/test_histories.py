"""Histories: time order, the split, and nothing of the test period in the training part."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.histories import Histories, scenario_history
from redrec.data.prepare import DataConfig, prepare
from redrec.data.tables import connect
from redrec.training.batches import train_counts

START = datetime(2024, 1, 1, tzinfo=UTC)


def write_tables(folder, events):
    """Events are (user, item, scenario, hours since the start)."""
    rows = [
        {"user_id": u, "item_id": i, "scenario": s, "action": "click", "timestamp": START + timedelta(hours=hours)}
        for u, i, s, hours in events
    ]
    items = [{"item_id": f"i{n}", "title": ""} for n in range(10)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    return folder / "events.parquet", folder / "items.parquet"


EVENTS = [("a", f"i{n}", "ads" if n % 2 else "feed", n) for n in range(10)] + [
    ("b", "i3", "feed", 100),
    ("b", "i4", "ads", 1),
]


def test_events_come_in_time_order_with_their_catalog_index(tmp_path):
    prepare(*write_tables(tmp_path, EVENTS), tmp_path / "data", DataConfig(split="leave_last_out"))
    histories = Histories(tmp_path / "data" / "histories")

    assert histories.user_ids == ["a", "b"]
    assert histories.train_of(0).item_L.tolist() == list(range(9))
    assert histories.test_of(0).item_L.tolist() == [9]
    assert (histories.train_of(1).item_L.tolist(), histories.test_of(1).item_L.tolist()) == ([4], [3])


def test_the_global_split_puts_nothing_after_the_cutoff_into_training(tmp_path):
    prepare(*write_tables(tmp_path, EVENTS), tmp_path / "data", DataConfig(test_share=0.3))
    histories = Histories(tmp_path / "data" / "histories")
    train_end_ms = max(histories.train_of(user).timestamp_ms_L.max(initial=0) for user in (0, 1))
    test_start_ms = min(histories.test_of(user).timestamp_ms_L.min(initial=2**62) for user in (0, 1))
    assert train_end_ms < test_start_ms


def test_train_counts_count_training_events_alone(tmp_path):
    prepare(*write_tables(tmp_path, EVENTS), tmp_path / "data", DataConfig(split="leave_last_out"))
    counts_SN = train_counts(Histories(tmp_path / "data" / "histories"), num_items=10, num_scenarios=2)
    expected_N = np.bincount([*range(9), 4], minlength=10)
    assert counts_SN.sum(0).tolist() == expected_N.tolist()


def test_scenario_history_keeps_the_newest_oldest_first(tmp_path):
    prepare(*write_tables(tmp_path, EVENTS), tmp_path / "data")
    events = connect().read_parquet(tmp_path / "data" / "events.parquet")
    rows = scenario_history(events, "ads", max_events=2).order_by("user_id").to_pyarrow().to_pylist()
    hour_ms = 3_600_000
    start_ms = int(START.timestamp() * 1000)
    assert [row["item_ids"] for row in rows] == [["i7", "i9"], ["i4"]]
    assert rows[0]["timestamps_ms"] == [start_ms + 7 * hour_ms, start_ms + 9 * hour_ms]
