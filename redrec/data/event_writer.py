"""Event writer: write the checked events, sorted by user and time, to the event table and the arrays, in one pass.

The engine checks and sorts; its rows come in batches and are never all in memory. Events that are equal in every column
follow each other, so a repeat equals the row before it. The first of equal rows is kept.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redrec.data import columns as c
from redrec.data.arrays import HistoryArrays, is_new, last_of
from redrec.data.checks import REASON

EVENTS = pa.schema([(name, pa.string()) for name in c.EVENT_COLUMNS if name != c.TIMESTAMP]).append(
    pa.field(c.TIMESTAMP, pa.timestamp("us", tz="UTC"))
)
BAD = pa.schema([(REASON, pa.string()), ("row", pa.string())])


class EventFiles(NamedTuple):
    """The files of kept events, of bad rows, and of events that equal a kept one."""

    events: Path
    bad: Path
    repeats: Path


class EventCounts(NamedTuple):
    rows: int = 0
    repeats: int = 0


def write_events(batches: Iterable[pa.RecordBatch], files: EventFiles, arrays: HistoryArrays) -> EventCounts:
    """Write each row to its file; a row has the contract's columns, `item_index`, `reason` and `row`."""
    counts = EventCounts()
    last: dict[str, Any] = {}
    with ExitStack() as stack:
        events, bad, repeats = (
            stack.enter_context(_writer(path, schema))
            for path, schema in zip(files, (EVENTS, BAD, EVENTS), strict=True)
        )
        for rows in batches:
            is_good_N = pc.is_null(rows[REASON]).to_numpy(zero_copy_only=False)
            is_new_N = is_new(rows, c.EVENT_COLUMNS, last)
            kept, repeated = rows.filter(is_good_N & is_new_N), rows.filter(is_good_N & ~is_new_N)
            _append(events, kept)
            _append(bad, rows.filter(~is_good_N))
            _append(repeats, repeated)
            arrays.append(kept)
            counts = EventCounts(counts.rows + len(rows), counts.repeats + len(repeated))
            last = last_of(rows)
    return counts


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    texts = [field.name for field in schema if pa.types.is_string(field.type)]  # most times are distinct
    return pq.ParquetWriter(path, schema, use_dictionary=texts)


def _append(writer: pq.ParquetWriter, rows: pa.RecordBatch) -> None:
    if len(rows):
        writer.write_batch(rows.select(writer.schema.names).cast(writer.schema))
