"""Times: what a column of times holds, found over the whole column, and its values as UTC times.

Numbers count from 1970. Their unit is known by their size: from 1973 to the year 5138, a number of seconds is none
of milliseconds, and so on. Smaller numbers take the unit of the others; if there are no others, they are seconds. A
time without a zone is UTC.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from redrec.config import InputError, Record
from redrec.data import columns as c

Unit = Literal["s", "ms", "us", "ns"]
PER_SECOND: dict[Unit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNIT_NAMES: dict[Unit, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SIZES_S = (10**8, 10**11)  # March 1973 and the year 5138
YEARS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))  # that Python knows
DATES = ((19000101, 21001231), (19000101_000000, 21001231_235959))  # written as one number; as times they make no sense
NUMBER = dt.Decimal(28, 6)  # nanoseconds of any year, seconds to the microsecond
OLDEST = datetime(1995, 1, 1, tzinfo=UTC)  # earlier events are doubtful: logs of what people click are younger
MAX_INT64 = 2**63 - 1
UTC_TIME = dt.Timestamp("UTC", 6)
TIME = dt.Timestamp(scale=6)
WITHOUT_ZONE = "UTC where they have no zone"
ALLOWED = "Give times (2024-01-31 13:45:00+01:00), dates (2024-01-31), or numbers of seconds since 1970."


class TimeFormat(Record):
    """How a column of times is read; `unit` is that of its numbers, None if it has none."""

    what: str
    unit: Unit | None = None


def time_format(table: ir.Table, name: str = "events", of: str = c.TIMESTAMP) -> TimeFormat:
    """Return the format of the column `of`; `name` is the table's in errors.

    Raises:
        InputError: The column is of a type that holds no time, mixes units, or has values of which none is a time.
    """
    column = table[of]
    kind = column.type()
    if kind.is_timestamp() or kind.is_unknown():  # of Parquet's times, Ibis knows no nanoseconds with a zone
        return TimeFormat(what=f"times ({WITHOUT_ZONE})")
    if kind.is_date():
        return TimeFormat(what="dates (00:00 UTC)")
    if kind.is_float16() or kind.is_float32():
        raise InputError(f"{name}: {of} is of type {kind}, which rounds times to minutes. Give float64 or int64.")
    if not (kind.is_string() or _is_number(kind)):
        raise InputError(f"{name}: {of} is of type {kind}, which holds no time. {ALLOWED}")
    return _format_of(_seen(column), name, of, is_text=kind.is_string())


def utc_times(column: ir.Value, unit: Unit | None) -> ir.TimestampValue:
    """Return the times without a zone, in UTC and cut to milliseconds; what is no time is null."""
    kind = column.type()
    if _is_number(kind):
        return _of_number(column, unit or "s").cast(TIME)
    if kind.is_string():
        given = _of_text(column)
    else:
        given = column.try_cast(UTC_TIME).cast(TIME) if kind.is_unknown() else column.try_cast(TIME)
    time = _within(given, *(year.replace(tzinfo=None) for year in YEARS)).truncate("ms")
    return ibis.coalesce(_of_number(column, unit).cast(TIME), time) if kind.is_string() and unit else time


def from_epoch(number: ir.IntegerValue, unit: Unit) -> ir.TimestampValue:
    """Return the time of a whole number, cut to milliseconds; engines differ on units other than seconds."""
    per_second = PER_SECOND[unit]
    seconds = number // per_second
    rest = number - seconds * per_second  # so exact also if the engine divides as floats
    return seconds.as_timestamp("s") + ibis.interval(milliseconds=1) * (rest * 1000 // per_second)


def _is_number(kind: dt.DataType) -> bool:
    return kind.is_integer() or kind.is_floating() or kind.is_decimal()


def _number(column: ir.Value) -> ir.NumericValue:
    """Return the numbers of a column of numbers or texts."""
    kind = column.type()
    if kind.is_integer() or kind.is_floating():
        return column
    if kind.is_string():  # a cast that fails takes long
        column = column.contains(":").ifelse(ibis.null("string"), column)
    return column.try_cast(NUMBER)


def _of_text(column: ir.StringValue) -> ir.TimestampValue:
    with_point = column.replace(",", ".")  # Python's logging writes 13:45:00,123
    return with_point.try_cast(UTC_TIME).cast(TIME)  # a cast to a time without a zone drops the offset of 10:00+02:00


def _seen(column: ir.Value) -> dict[str, Any]:
    """Return the counts, the extremes, and of each unit the count and an example, in one pass over the column."""
    number = _number(column)
    counts: dict[str, ir.Value] = {"numbers": number.count(), "lowest": number.min(), "highest": number.max()}
    for unit, per_second in PER_SECOND.items():
        smallest, limit = (min(size * per_second, MAX_INT64) for size in SIZES_S)
        is_of_unit = (number >= smallest) & (number < limit)
        counts |= {unit: is_of_unit.sum(), f"example_{unit}": number.min(where=is_of_unit)}
    if column.type().is_string():
        is_text = number.isnull() & (column != "")
        counts |= {"texts": is_text.sum(), "example": column.min(where=is_text)}
        counts |= {"times": _of_text(column).count(where=is_text)}
    table: pa.Table = column.as_table().aggregate(**counts).to_pyarrow()
    row: dict[str, Any] = table.to_pylist()[0]
    return row


def _format_of(seen: Mapping[str, Any], name: str, of: str, is_text: bool) -> TimeFormat:
    _require_one_reading(seen, name, of)
    unit: Unit = next((unit for unit in PER_SECOND if seen[unit]), "s")
    numbers = f"{UNIT_NAMES[unit]} since 1970"
    if not is_text:
        return TimeFormat(what=f"numbers of {numbers}", unit=unit)
    if seen["texts"] and not seen["numbers"] and not seen["times"]:
        raise InputError(f"{name}: no {of} is a time; they are such as {seen['example']!r}. {ALLOWED}")
    given = [f"times ({WITHOUT_ZONE})"] if seen["times"] else []
    given += [numbers] if seen["numbers"] else []
    what = f"texts of {' and '.join(given)}" if given else "no values"
    return TimeFormat(what=what, unit=unit if seen["numbers"] else None)


def _require_one_reading(seen: Mapping[str, Any], name: str, of: str) -> None:
    units = [unit for unit in PER_SECOND if seen[unit]]
    if len(units) > 1:
        counts = [f"{seen[unit]:,} in {UNIT_NAMES[unit]} (such as {_plain(seen[f'example_{unit}'])})" for unit in units]
        raise InputError(f"{name}: {of} mixes units: {', '.join(counts)}. Give all numbers in one unit.")
    for earliest, latest in DATES:
        if seen["numbers"] and earliest <= seen["lowest"] <= seen["highest"] <= latest:
            example = _plain(seen["lowest"])
            raise InputError(f"{name}: {of} has numbers such as {example}, which look like dates. {ALLOWED}")


def _plain(number: float | Decimal) -> str:
    """Return the number without a needless fraction.

    >>> _plain(Decimal("1400000000.000000")), _plain(1.5e9), _plain(20)
    ('1400000000', '1500000000', '20')
    """
    return f"{Decimal(number):.6f}".rstrip("0").rstrip(".")


def _of_number(column: ir.Value, unit: Unit) -> ir.TimestampValue:
    kind = column.type()
    if kind.is_integer():
        return from_epoch(_within(column.try_cast("int64"), *_limits(unit)), unit)
    if kind.is_floating():  # rounded, since it holds no nanoseconds of today
        return from_epoch(_within(column * (10**6 / PER_SECOND[unit]), *_limits("us")).round(), "us")
    if unit == "s":  # only seconds have a fraction that is kept
        return from_epoch(_within(_number(column) * 10**6, *_limits("us")).floor(), "us")
    return from_epoch(_within(_number(column), *_limits(unit)).floor(), unit)


def _limits(unit: Unit) -> tuple[int, int]:
    """Return the numbers of the years that Python knows, as far as an int64 holds them."""
    first, last = (int(year.timestamp()) * PER_SECOND[unit] for year in YEARS)
    return max(first, -MAX_INT64), min(last, MAX_INT64)


def _within(value: ir.Value, first: Any, last: Any) -> Any:
    return value.between(first, last).ifelse(value, ibis.null(value.type()))
