"""Arrays: the files do not depend on the size of batches and blocks."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data import arrays, prepare, tables
from redrec.data.arrays import HistoryArrays, TieOrder
from redrec.data.prepare import DataConfig
from tests.data.logs import ITEMS, at, event

SPLITS = ("global_time", "leave_last_out", "leave_last_out_per_scenario")


def prepared(folder: Path, split: str) -> dict[str, object]:
    """Return the rows and bytes of the data folder of 60 events: 20 are bad, some others are repeated."""
    rng = np.random.default_rng(0)
    events = [
        event(
            user_id=f"u{rng.integers(4)}",
            item_id=f"i{rng.integers(4)}",
            scenario=("ads", "feed")[rng.integers(2)],
            timestamp=at(1) + timedelta(minutes=n),
        )
        for n in range(60)
    ]
    events = [one | {"item_id": "nowhere"} if n % 3 == 0 else one for n, one in enumerate(events)]
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist([*events, *events[:9], *events[:5]]), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(ITEMS), folder / "items.parquet")
    config = DataConfig(split=split, has_validation=True, max_quarantined_share=0.9)
    prepare.prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", config)
    files = sorted(path for path in (folder / "data").rglob("*.*"))
    return {
        path.relative_to(folder).as_posix(): pq.read_table(path).to_pylist()
        if path.suffix == ".parquet"
        else path.read_bytes()
        for path in files
    }


@pytest.mark.parametrize("split", SPLITS)
def test_batches_and_blocks_of_any_size_write_the_same(tmp_path, monkeypatch, split):
    whole = prepared(tmp_path / "whole", split)

    def two_by_two(table, scratch):
        for rows in tables.batches(table, scratch):
            yield from (rows[n : n + 2] for n in range(0, len(rows), 2))

    monkeypatch.setattr(prepare, "batches", two_by_two)
    monkeypatch.setattr(arrays, "EVENTS_PER_BLOCK", 3)
    in_pieces = prepared(tmp_path / "pieces", split)

    assert len(whole["data/events.parquet"]) == 40
    assert len(whole["data/quarantine.parquet"]) == 34  # 20 + 3 + 2 bad, 6 + 3 repeats
    assert whole == in_pieces


@pytest.mark.parametrize("share", [0.0, 0.3, 0.49, 0.5, 0.9, 1.0])
def test_a_quantile_is_that_of_the_sorted_seconds(tmp_path, share):
    seconds = np.random.default_rng(0).integers(-(10**5), 10**5, 41)
    written = HistoryArrays(tmp_path / "histories")
    written.num_events = len(seconds)
    (tmp_path / "histories" / "timestamp_ms.bin").write_bytes((seconds * 1000 + 999).tobytes())
    assert written.quantile_s(share) == int(np.quantile(seconds, share))


@pytest.mark.parametrize("events_per_block", [1, 1000])
def test_a_tie_is_two_items_of_a_user_in_one_second_at_different_times(tmp_path, monkeypatch, events_per_block):
    """By hand; of user a: 1 to 2 and 2 to 0, but not 0 to 0, the next second, or the same millisecond; nor a to b."""
    monkeypatch.setattr(arrays, "EVENTS_PER_BLOCK", events_per_block)
    times_ms = [(0, 1), (1, 2), (2, 0), (3, 0), (1000, 1), (1000, 2)]
    rows = [("a", item, time_ms) for time_ms, item in times_ms] + [("b", 3, 1001)]
    user_id, item, time_ms = zip(*rows, strict=True)
    table = {"user_id": user_id, "item_index": pa.array(item, pa.int32()), "scenario": ["ads"] * 7}
    table |= {"action": ["click"] * 7, "timestamp": pa.array([1000 * t for t in time_ms], pa.timestamp("us"))}
    written = HistoryArrays(tmp_path / "histories")
    written.append(pa.RecordBatch.from_pydict(table))
    assert written.tie_order(np.arange(4)) == TieOrder(ties=2, ascending=1)
    assert written.tie_order(np.array([3, 2, 1, 0])) == TieOrder(ties=2, ascending=1)
    assert written.tie_order(np.array([2, 0, 1, 3])) == TieOrder(ties=2, ascending=2)
