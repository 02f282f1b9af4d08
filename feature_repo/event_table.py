"""Event table: the rows of a file as events to push.

It is apart from `feature_repo.push`, because the serving image has no DuckDB.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
import pyarrow.parquet as pq

from feature_repo.push import PushedEvent
from redrec.data import columns as c
from redrec.data.checks import typed_events
from redrec.data.mapping import EVENT_MAPPINGS, recognise
from redrec.data.tables import connect, epoch_ms, read, write
from redrec.data.times import time_format

EVENTS_PER_BLOCK = 10_000


def events_of(path: Path) -> Iterator[list[PushedEvent]]:
    """Return the rows of an event table in blocks; a missing text is empty, and a push refuses the event.

    Raises:
        InputError: The file cannot be read, or lacks a column; this is known at once, before the first block.
    """
    raw = read(connect(), path, "events")
    mapped = recognise(raw, EVENT_MAPPINGS, "events").apply(raw)
    typed = typed_events(mapped, time_format(mapped).unit)
    text = {name: typed[name].fill_null("") for name in (c.USER_ID, c.ITEM_ID, c.SCENARIO, c.ACTION)}
    return _blocks(typed.select(**text, timestamp_ms=epoch_ms(typed[c.TIMESTAMP])))


def _blocks(rows: ir.Table) -> Iterator[list[PushedEvent]]:
    with TemporaryDirectory() as scratch:
        write(rows, Path(scratch) / "rows.parquet")
        for batch in pq.ParquetFile(Path(scratch) / "rows.parquet").iter_batches(EVENTS_PER_BLOCK):
            yield [PushedEvent(**row) for row in batch.to_pylist()]
