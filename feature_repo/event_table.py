"""Event table: the rows of a file as events to push.

It is apart from `feature_repo.push`, because the serving image has no DuckDB.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
import pyarrow.parquet as pq

from feature_repo.push import PushedEvent
from redrec.data import columns as c
from redrec.data.checks import typed_events
from redrec.data.inputs import AS_THEY_ARE, ColumnChoices, read_input
from redrec.data.sources import Source
from redrec.data.tables import connect, epoch_ms, write
from redrec.data.times import time_format

EVENTS_PER_BLOCK = 10_000


def events_of(source: Source, choices: ColumnChoices = AS_THEY_ARE) -> Iterator[list[PushedEvent]]:
    """Return the rows of an event table in blocks; a missing text is empty, and a push refuses the event.

    Raises:
        InputError: The table cannot be read, or lacks a column; this is known at once, before the first block.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory()))
        mapped = read_input(connect(), source, "events", choices, scratch).table
        typed = typed_events(mapped, time_format(mapped).unit)
        text = {name: typed[name].fill_null("") for name in (c.USER_ID, c.ITEM_ID, c.SCENARIO, c.ACTION)}
        rows = typed.select(**text, timestamp_ms=epoch_ms(typed[c.TIMESTAMP]))
        return _blocks(rows, scratch / "rows.parquet", stack.pop_all())


def _blocks(rows: ir.Table, file: Path, scratch: ExitStack) -> Iterator[list[PushedEvent]]:
    with scratch:
        write(rows, file)
        for batch in pq.ParquetFile(file).iter_batches(EVENTS_PER_BLOCK):
            yield [PushedEvent(**row) for row in batch.to_pylist()]
