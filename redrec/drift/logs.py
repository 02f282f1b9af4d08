"""Logs: two event logs, or two windows of one, as tables whose columns are compared.

An event without a column `category` takes the one of its item, and its `hour` is that of UTC, in blocks of four.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.sources import Source, open_source
from redrec.data.tables import num_rows, read, write
from redrec.data.times import time_format, utc_times
from redrec.drift.columns import Kind, columns_of, typed
from redrec.drift.windows import Window, reference_window

HOUR, VECTOR = "hour", "item vectors"
TABLE = "typed.parquet"
BLOCK_HOURS = 4
NEEDED = (c.USER_ID, c.SCENARIO, c.TIMESTAMP)
KEPT = (c.USER_ID, c.ITEM_ID, c.SCENARIO, c.TIMESTAMP)


class Logs(NamedTuple):
    """Events with KEPT and the columns of `types`, of the types in `redrec.drift.columns`."""

    reference: ir.Table
    current: ir.Table
    types: dict[str, Kind]
    mixed: frozenset[str] = frozenset()
    vectors: ir.Table | None = None  # ITEM_ID and VECTOR of items
    windows: tuple[Window, Window] | None = None  # None: no two are comparable
    shortage: str = ""  # why not
    left_out: tuple[int, int] = (0, 0)  # rows without a user, a scenario or a time


class Sources(NamedTuple):
    reference: Source
    current: Source | None
    items: Source
    vectors: Source | None = None


def read_logs(connection: SQLBackend, sources: Sources, scratch: Path) -> Logs:
    """Return two logs, the reference cut to the newest window that is comparable with the current one.

    `scratch` is a folder for what is read more than once; it must outlive the tables.

    Raises:
        InputError: A table does not exist, cannot be read, lacks a column, or has no usable row.
    """
    opened = _open(connection, sources, scratch)
    logs = logs_of(opened["reference"], opened["current"], opened["items"])
    rows = [num_rows(opened[name]) for name in ("reference", "current")]
    logs = logs._replace(
        reference=_stored(logs.reference, scratch / "reference", "reference"),
        current=_stored(logs.current, scratch / "current", "current"),
        vectors=_vectors(opened["vectors"]) if "vectors" in opened else None,
    )
    logs = logs._replace(left_out=(rows[0] - num_rows(logs.reference), rows[1] - num_rows(logs.current)))
    available = Window(*extent(logs.reference, "reference")).whole_days
    if rows[1] == 0:
        return logs._replace(shortage="the current log has no row")
    return comparable(logs, available, Window(*extent(logs.current, "current")).whole_days)


def read_log(connection: SQLBackend, sources: Sources, scratch: Path) -> Logs:
    """Return one log as reference and as current log; otherwise like `read_logs`."""
    opened = _open(connection, sources, scratch)
    logs = logs_of(opened["reference"], opened["reference"], opened["items"])
    stored = _stored(logs.reference, scratch / "reference", "events")
    vectors = _vectors(opened["vectors"]) if "vectors" in opened else None
    return logs._replace(reference=stored, current=stored, vectors=vectors)


def _open(connection: SQLBackend, sources: Sources, scratch: Path) -> dict[str, ir.Table]:
    opened = {}
    for name, source in zip(sources._fields, sources, strict=True):
        (scratch / name).mkdir()
        if source is not None:
            opened[name] = open_source(connection, source, name, scratch / name)
    for name in opened.keys() & {"reference", "current"}:
        opened[name] = _checked(opened[name], name)
    return opened


def logs_of(reference: ir.Table, current: ir.Table, items: ir.Table) -> Logs:
    """Return two event logs with the columns that are compared."""
    columns = columns_of(reference, current, KEPT)
    types, tables = dict(columns.types), []
    for name, events in (("reference", reference), ("current", current)):
        unit = time_format(events, name).unit
        table = typed(events, columns.types, KEPT).mutate(timestamp=utc_times(events[c.TIMESTAMP], unit))
        tables.append(_with_category(_with_hour(table), items))
    derived = [name for name in (HOUR, c.CATEGORY) if name in tables[0].columns]
    types |= {name: "categorical" for name in derived if name not in types}
    return Logs(tables[0], tables[1], types, columns.mixed)


def comparable(logs: Logs, available: Window, current: Window) -> Logs:
    """Return the logs with their windows, the reference cut to its own, or the reason why there are none."""
    reference = reference_window(current, available)
    if reference is None:
        seen = f"the reference has {available}, the current window is {current}"
        return logs._replace(shortage=f"no window of the reference is whole weeks from the current one: {seen}")
    return logs._replace(reference=reference.of(logs.reference), windows=(reference, current))


def _checked(events: ir.Table, name: str) -> ir.Table:
    if absent := [column for column in NEEDED if column not in events.columns]:
        raise InputError(
            f"{name}: there is no column {', '.join(absent)}; seen: {', '.join(events.columns)}. "
            f"Give an event log with {', '.join(NEEDED)}, and {c.ITEM_ID} and {c.ACTION} if it has them."
        )
    if c.ITEM_ID not in events.columns:
        events = events.mutate(item_id=ibis.null("string"))
    texts = {column: events[column].cast("string") for column in (c.USER_ID, c.ITEM_ID, c.SCENARIO)}
    return events.mutate(**texts)


def _with_hour(events: ir.Table) -> ir.Table:
    if HOUR in events.columns:
        return events
    first = events[c.TIMESTAMP].hour() // BLOCK_HOURS * BLOCK_HOURS
    return events.mutate(**{HOUR: first.cast("string").lpad(2, "0") + "h"})


def _with_category(events: ir.Table, items: ir.Table) -> ir.Table:
    if c.CATEGORY in events.columns or c.CATEGORY not in items.columns:
        return events
    categories = items.group_by(item=items[c.ITEM_ID].cast("string")).aggregate(
        category=items[c.CATEGORY].cast("string").nullif("").max()
    )
    return events.left_join(categories, events[c.ITEM_ID] == categories["item"]).drop("item")


def _stored(events: ir.Table, folder: Path, name: str) -> ir.Table:
    """Return the events that have a user, a scenario and a time, read from one file."""
    events = events.filter(*(events[column].notnull() for column in NEEDED))
    write(events, folder / TABLE)
    return read(events.get_backend(), folder / TABLE, name)


def extent(events: ir.Table, name: str) -> tuple[datetime, datetime]:
    """Return the first and the last time.

    Raises:
        InputError: There is no event.
    """
    time = events[c.TIMESTAMP]
    (row,) = events.aggregate(first=time.min(), last=time.max()).to_pyarrow().to_pylist()
    if row["first"] is None:
        raise InputError(f"{name}: no row has {', '.join(NEEDED)}. Give a log with at least one event.")
    return row["first"], row["last"]


def _vectors(table: ir.Table) -> ir.Table:
    """Return ITEM_ID and VECTOR: the only column of lists."""
    lists = [name for name in table.columns if table[name].type().is_array()]
    if c.ITEM_ID not in table.columns or len(lists) != 1:
        raise InputError(
            f"vectors: seen {', '.join(f'{name} ({kind})' for name, kind in table.schema().items())}. "
            f"Give a table with {c.ITEM_ID} and one column of lists of numbers."
        )
    vector = table[lists[0]].cast("array<float64>").name(VECTOR)
    return table.select(table[c.ITEM_ID].cast("string").name(c.ITEM_ID), vector)
