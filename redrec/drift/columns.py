"""Columns: which columns of two event logs are compared, and as what.

Numbers are compared by rank, texts and truth values by level, lists of numbers by their distance. Left out are times,
nested columns, and texts of which most occur once, such as the id of a request. A column that is numbers in one log and
partly texts in the other is `mixed`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from redrec.data import columns as c

Kind = Literal["numeric", "categorical", "vector"]
TYPES: Mapping[Kind, str] = {"numeric": "float64", "categorical": "string", "vector": "array<float64>"}
CATEGORIES = (c.ACTION, c.CATEGORY)  # also if their texts are numbers
MAX_SHARE_OF_DIFFERENT = 0.5  # of a text's values; of ids, more are different
MOSTLY = 0.5  # of the texts of a file without types: so many numbers make a numeric column


class Columns(NamedTuple):
    types: dict[str, Kind]
    mixed: frozenset[str]


class ColumnCounts(NamedTuple):
    """Of a column in one log, how many values there are, how many of them are numbers, and how many differ."""

    values: int
    numbers: int
    different: int

    @property
    def share(self) -> float:
        return self.numbers / self.values if self.values else 1.0


def columns_of(reference: ir.Table, current: ir.Table, left_out: Sequence[str]) -> Columns:
    """Return what is compared of the columns of the reference."""
    logs = [reference, current]
    is_untyped = all(log[c.TIMESTAMP].type().is_string() for log in logs)
    counts = [_counts(log.drop(*left_out)) for log in logs]
    types: dict[str, Kind] = {}
    mixed = set()
    for name in counts[0]:
        dtypes = [log[name].type() for log in logs if name in log.columns]
        counted = [of_log[name] for of_log in counts if name in of_log]
        if kind := _kind(name, dtypes, counted, is_untyped):
            types[name] = kind
            mixed |= {name} if _is_mixed(kind, dtypes, counted) else set()
    return Columns(types, frozenset(mixed))


def typed(events: ir.Table, types: Mapping[str, Kind], kept: Sequence[str]) -> ir.Table:
    """Return the columns with the types of their kind; null where an event has no such value."""
    values = {name: _value(events, name, kind) for name, kind in types.items()}
    return events.select(*kept, **values)


def most_frequent(events: ir.Table, column: str, num: int) -> list[str]:
    """Return the levels with the most events; of equally frequent ones the first by name."""
    known = events.filter(events[column].notnull())
    counts = known.group_by(column).aggregate(num=known.count())
    levels: list[str] = counts.order_by([ibis.desc("num"), column]).limit(num)[column].to_pyarrow().to_pylist()
    return levels


def _counts(log: ir.Table) -> dict[str, ColumnCounts]:
    counted: dict[str, ir.Value] = {}
    for number, name in enumerate(log.columns):
        column = log[name]
        is_plain = column.type().is_string() or _is_number(column.type())
        numbers = column.try_cast("float64").count() if column.type().is_string() else column.count()
        different = column.approx_nunique() if is_plain else ibis.literal(0)
        counted |= {f"values_{number}": column.count(), f"numbers_{number}": numbers, f"different_{number}": different}
    (row,) = log.aggregate(**counted).to_pyarrow().to_pylist() if counted else ({},)
    return {
        name: ColumnCounts(row[f"values_{number}"], row[f"numbers_{number}"], row[f"different_{number}"])
        for number, name in enumerate(log.columns)
    }


def _kind(name: str, dtypes: Sequence[dt.DataType], counts: Sequence[ColumnCounts], is_untyped: bool) -> Kind | None:
    dtypes = [one for one in dtypes if not _is_empty(one)] or [dt.string]
    if _is_list(dtypes[0]):
        return "vector"
    dtypes = [one for one in dtypes if not _is_list(one)]
    if not all(one.is_string() or one.is_boolean() or _is_number(one) for one in dtypes):
        return None
    if name not in CATEGORIES and not any(one.is_boolean() for one in dtypes):
        if any(_is_number(one) for one in dtypes):
            return "numeric"
        if is_untyped and any(one.values for one in counts) and max(one.share for one in counts if one.values) > MOSTLY:
            return "numeric"
    num_values, num_different = sum(one.values for one in counts), max(one.different for one in counts)
    is_id = num_different > MAX_SHARE_OF_DIFFERENT * num_values / len(counts)
    return None if is_id and name not in CATEGORIES else "categorical"


def _is_number(kind: dt.DataType) -> bool:
    return kind.is_numeric() and not kind.is_boolean()


def _is_list(kind: dt.DataType) -> bool:
    return isinstance(kind, dt.Array) and _is_number(kind.value_type)


def _is_empty(kind: dt.DataType) -> bool:
    """Return whether a file has no type for a column, since all of it is null."""
    return kind.is_null() or kind.is_unknown()


def _is_mixed(kind: Kind, dtypes: Sequence[dt.DataType], counts: Sequence[ColumnCounts]) -> bool:
    """Return whether a column is lists in one log alone, or numbers throughout in one log alone."""
    is_list = {_is_list(one) for one in dtypes if not _is_empty(one)}
    is_all_numbers = {one.share == 1 for one in counts}
    return len(is_list) > 1 or (kind == "numeric" and len(is_all_numbers) > 1)


def _value(events: ir.Table, name: str, kind: Kind) -> ir.Value:
    if name not in events.columns or _is_empty(events[name].type()):
        return ibis.null(TYPES[kind])
    if _is_list(events[name].type()) != (kind == "vector"):
        return ibis.null(TYPES[kind])
    if kind == "numeric":
        number = events[name].try_cast("float64") if events[name].type().is_string() else events[name].cast("float64")
        return number.isnan().ifelse(ibis.null("float64"), number)
    value = events[name].cast(TYPES[kind])
    return value.nullif("") if kind == "categorical" else value
