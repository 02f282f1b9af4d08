"""Event writer: each row goes to its file, also when a repeat is in the next batch."""

import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.arrays import HistoryArrays
from redrec.data.event_writer import EventFiles, write_events
from tests.data.logs import event


def batch(*rows: dict[str, object]) -> pa.RecordBatch:
    schema = pa.schema({"timestamp": pa.timestamp("us", "UTC"), "reason": pa.string(), "row": pa.string()})
    names = ("user_id", "item_id", "scenario", "action")
    schema = pa.schema([*((name, pa.string()) for name in names), *schema, ("item_index", pa.int32())])
    return pa.RecordBatch.from_pylist([{"item_index": 1, "reason": None, "row": None, **row} for row in rows], schema)


def test_each_row_goes_to_its_file(tmp_path):
    files = EventFiles(tmp_path / "events.parquet", tmp_path / "bad.parquet", tmp_path / "repeats.parquet")
    bad = event(user_id="u2", action="", reason="action is missing", row="user_id=u2")
    batches = [batch(event()), batch(event(), event(item_id="i2")), batch(bad, event(user_id="u3"))]
    counts = write_events(batches, files, HistoryArrays(tmp_path / "histories"))

    assert (counts.rows, counts.repeats) == (5, 1)
    assert pq.read_table(files.events).to_pylist() == [event(), event(item_id="i2"), event(user_id="u3")]
    assert pq.read_table(files.bad).to_pylist() == [{"reason": "action is missing", "row": "user_id=u2"}]
    assert pq.read_table(files.repeats).to_pylist() == [event()]
