"""Ordered: one pass over the checked events, by user and time, that writes what everything later is made of.

The engine checks and sorts; its rows come in batches and are never all held. Events that are the same in every column
follow each other, so a repeat is a row like the one before. Of equal rows the first is kept.
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


class Files(NamedTuple):
    """Where rows go: events that are kept, bad rows, and events that are the same as one that is kept."""

    events: Path
    bad: Path
    repeats: Path


class Counts(NamedTuple):
    rows: int = 0
    repeats: int = 0


def write_ordered(batches: Iterable[pa.RecordBatch], files: Files, arrays: HistoryArrays) -> Counts:
    """Write each row where it goes; beside the contract's columns it has `item_index`, `reason` and `row`."""
    counts = Counts()
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
            counts = Counts(counts.rows + len(rows), counts.repeats + len(repeated))
            last = last_of(rows)
    return counts


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    words = [field.name for field in schema if pa.types.is_string(field.type)]  # a time of its own is no word to number
    return pq.ParquetWriter(path, schema, use_dictionary=words)


def _append(writer: pq.ParquetWriter, rows: pa.RecordBatch) -> None:
    if len(rows):
        writer.write_batch(rows.select(writer.schema.names).cast(writer.schema))
