"""Profile: what two tables hold, as they came: for a report that is needed most when the tables are refused.

Nothing is checked here, so it works on bad rows too; what cannot be read is left out.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import ibis.expr.types as ir

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.checks import typed_events
from redrec.data.inputs import as_contract
from redrec.data.prepare import DataConfig
from redrec.data.sources import Source, open_source
from redrec.data.tables import connect, epoch_ms
from redrec.data.times import time_format

NUM_BARS = 24
NUM_ROWS = 5
MAX_SHOWN = 80  # characters of a value


class Bar(NamedTuple):
    label: str
    number: int


class TableProfile(NamedTuple):
    name: str
    rows: int
    columns: tuple[tuple[str, str, str], ...]  # name, type, and `used`, `ignored` or empty if the table has no schema
    first_rows: tuple[tuple[str, ...], ...]
    histograms: dict[str, tuple[Bar, ...]]


def profile(events: Source, items: Source, config: DataConfig) -> tuple[TableProfile, ...]:
    """Return what can be read of both tables; a table that cannot be opened is left out."""
    tables = []
    for name, source in (("events", events), ("items", items)):
        with TemporaryDirectory() as scratch:
            try:
                tables.append(_profile(source, name, config, Path(scratch)))
            except InputError:
                continue  # it was this, or the same in the other table, that refused the tables
    return tuple(tables)


def _profile(source: Source, name: str, config: DataConfig, scratch: Path) -> TableProfile:
    raw = open_source(connect(config.engine, scratch), source, name, scratch)
    mapped, roles = None, dict.fromkeys(raw.columns, "")
    try:
        mapped = as_contract(raw, name, config.choices)
        roles = {column: "used" if column in mapped.used else "ignored" for column in raw.columns}
    except InputError:
        pass  # columns are missing: the error on top of the report names them
    head = raw.limit(NUM_ROWS).to_pyarrow().to_pylist()
    return TableProfile(
        name=name,
        rows=int(raw.count().to_pyarrow().as_py()),
        columns=tuple((column, str(kind), roles[column]) for column, kind in raw.schema().items()),
        first_rows=tuple(_shown(row.values()) for row in head),
        histograms=_histograms(mapped.table) if mapped and name == "events" else {},
    )


def _shown(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(value)[:MAX_SHOWN] for value in values)


def _histograms(mapped: ir.Table) -> dict[str, tuple[Bar, ...]]:
    bars = {
        "Events per user": _sizes(mapped, c.USER_ID),
        "Events per item": _sizes(mapped, c.ITEM_ID),
    }
    try:
        typed = typed_events(mapped, time_format(mapped).unit)
    except InputError:
        return bars  # the times cannot be read
    return {"Events by time (UTC)": _times(typed), **bars}


def _sizes(events: ir.Table, column: str) -> tuple[Bar, ...]:
    """Return how many users or items have 1, 2, 3 to 4, 5 to 8 events, and so on."""
    sizes = events.group_by(column).aggregate(size=events.count())
    numbers = sizes.group_by("size").aggregate(number=sizes.count()).to_pyarrow().to_pylist()
    counts: Counter[int] = Counter()
    for row in numbers:
        counts[(row["size"] - 1).bit_length()] += row["number"]
    return tuple(Bar(_span(power), counts[power]) for power in range(max(counts, default=-1) + 1))


def _span(power: int) -> str:
    """Return the sizes of one bar.

    >>> [_span(power) for power in range(4)]
    ['1', '2', '3-4', '5-8']
    """
    return str(2**power) if power < 2 else f"{2 ** (power - 1) + 1}-{2**power}"


def _times(typed: ir.Table) -> tuple[Bar, ...]:
    time_ms = epoch_ms(typed[c.TIMESTAMP])
    ends = typed.aggregate(first=time_ms.min(), last=time_ms.max()).to_pyarrow().to_pylist()[0]
    if ends["first"] is None:
        return ()
    width = max(1, -(-(ends["last"] - ends["first"] + 1) // NUM_BARS))
    timed = typed.filter(typed[c.TIMESTAMP].notnull()).select(bar=((time_ms - ends["first"]) // width).cast("int64"))
    rows = timed.group_by("bar").aggregate(number=timed.count()).to_pyarrow().to_pylist()
    counts = {row["bar"]: row["number"] for row in rows}
    return tuple(Bar(_minute(ends["first"] + bar * width), counts.get(bar, 0)) for bar in range(max(counts) + 1))


def _minute(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"
