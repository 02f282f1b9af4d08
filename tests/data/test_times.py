"""Times: each type that pandas, Polars, Spark and PyArrow write is read right or refused in one sentence.

Polars and Spark write the Arrow types and the INT96 that PyArrow writes here in their place.
"""

import datetime
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.sources import open_source
from redrec.data.tables import connect, epoch_ms
from redrec.data.times import PER_SECOND, UNIT_NAMES, from_epoch, time_format, utc_times

# In Warsaw, the hour between the first two was repeated.
TIMES_MS = [1_698_539_400_123, 1_698_543_000_500, 1_709_341_323_000]
SECONDS = [time_ms // 1000 * 1000 for time_ms in TIMES_MS]
DAYS = [1_698_537_600_000, 1_698_537_600_000, 1_709_337_600_000]
UNITS = list(PER_SECOND)
ISO = ["2023-10-29 00:30:00.123", "2023-10-29 01:30:00.500", "2024-03-02 01:02:03.000"]


@pytest.fixture(scope="module")
def connection():
    return connect()


@pytest.fixture
def read_times(connection, tmp_path):
    """Return a function: what is read from a file, and its times in milliseconds."""

    def of(path: Path) -> tuple[str, list[int | None]]:
        table = open_source(connection, path, "events", tmp_path)
        seen = time_format(table)
        return seen.what, epoch_ms(utc_times(table.timestamp, seen.unit)).to_pyarrow().to_pylist()

    def of_values(values: pa.Array | pd.Series | Sequence[str], **options: Any) -> tuple[str, list[int | None]]:
        path = tmp_path / ("events.csv" if isinstance(values, list) else "events.parquet")
        if isinstance(values, pa.Array):
            pq.write_table(pa.table({"timestamp": values}), path, **options)
        elif isinstance(values, pd.Series):
            values.to_frame("timestamp").to_parquet(path)
        else:
            path.write_text("".join(f'"{value}"\n' for value in ["timestamp", *values]))
        return of(path)

    return of_values


def arrow_times(unit: str, zone: str | None) -> pa.Array:
    whole = pa.array(TIMES_MS, pa.timestamp("ms"))
    return whole.cast(pa.timestamp(unit), safe=False).cast(pa.timestamp(unit, zone))


def in_unit(unit: str) -> list[int]:
    return [time_ms * PER_SECOND[unit] // 1000 for time_ms in TIMES_MS]


def expected(unit: str) -> list[int]:
    return SECONDS if unit == "s" else TIMES_MS


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Warsaw"])
def test_times_of_pyarrow_and_polars(read_times, unit, zone):
    assert read_times(arrow_times(unit, zone)) == ("times (UTC where they have no zone)", expected(unit))


def test_times_of_spark(read_times):
    assert read_times(arrow_times("ns", None), use_deprecated_int96_timestamps=True)[1] == TIMES_MS


@pytest.mark.parametrize(
    ("unit", "zone"), [("ns", None), ("ns", "UTC"), ("ns", "Europe/Warsaw"), ("us", "UTC"), ("s", None)]
)
def test_times_of_pandas(read_times, unit, zone):
    times = pd.Series(pd.to_datetime(TIMES_MS, unit="ms", utc=True))
    local = times.dt.tz_convert(zone) if zone else times.dt.tz_localize(None)
    assert read_times(local.dt.as_unit(unit))[1] == expected(unit)


@pytest.mark.parametrize(
    "values",
    [
        pa.array(DAYS, pa.timestamp("ms")).cast(pa.date32()),
        pa.array(DAYS, pa.date64()),
        pd.Series([datetime.date(2023, 10, 29), datetime.date(2023, 10, 29), datetime.date(2024, 3, 2)]),
    ],
    ids=["date32", "date64", "date objects of pandas"],
)
def test_dates(read_times, values):
    assert read_times(values) == ("dates (00:00 UTC)", DAYS)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(38, 3)], ids=str)
def test_numbers(read_times, unit, kind):
    values = pa.array([Decimal(number) for number in in_unit(unit)]).cast(kind)
    assert read_times(values) == (f"numbers of {UNIT_NAMES[unit]} since 1970", expected(unit))


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint32(), pa.uint64(), pa.decimal256(50, 9)], ids=str)
def test_numbers_of_rarer_types(read_times, kind):
    values = pa.array([Decimal(number) for number in in_unit("s")]).cast(kind)
    assert read_times(values)[1] == SECONDS


def test_numbers_of_pandas_with_a_gap(read_times):
    numbers = [*in_unit("ns"), None]
    assert read_times(pd.Series(numbers, dtype="Int64"))[1] == [*TIMES_MS, None]
    assert read_times(pd.Series(numbers, dtype="float64"))[1] == [*TIMES_MS, None]


@pytest.mark.parametrize("kind", ["float64", "decimal", "text"])
def test_seconds_keep_their_fraction(read_times, kind):
    texts = [f"{time_ms / 1000:.3f}" for time_ms in TIMES_MS]
    values = {
        "float64": pa.array([float(text) for text in texts]),
        "decimal": pa.array([Decimal(text) for text in texts]),
        "text": texts,
    }
    assert read_times(values[kind])[1] == TIMES_MS


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", ["{}", "{}.0"])
def test_texts_of_numbers(read_times, unit, form):
    texts = [form.format(number) for number in in_unit(unit)]
    assert read_times(texts) == (f"texts of {UNIT_NAMES[unit]} since 1970", expected(unit))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_texts_in_parquet(read_times, kind):
    assert read_times(pa.array(ISO, kind))[1] == TIMES_MS


@pytest.mark.parametrize(
    "written",
    [
        "{0} {1}",
        "{0}T{1}",
        "{0}T{1}Z",
        "{0} {1} UTC",
        "{0} {1}+00:00",
        "{0}T{1}+0000",
        "{0} {1}+00",
        "{0} {1}456789Z",
    ],
)
def test_texts_of_times(read_times, written):
    texts = [written.format(*text.split()) for text in ISO]
    assert read_times(texts) == ("texts of times (UTC where they have no zone)", TIMES_MS)


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("2023-10-29 02:30:00.123+02:00", TIMES_MS[0]),
        ("2023-10-28T19:30:00.123-0500", TIMES_MS[0]),
        ("2023-10-29 06:00:00.123+05:30", TIMES_MS[0]),
        ("2024-03-02 02:02:03 Europe/Warsaw", TIMES_MS[2]),
        ("2023-10-29 00:30:00,123", TIMES_MS[0]),  # of Python's logging
        ("2023-10-29T00:30", TIMES_MS[0] - 123),
        ("2023-10-29", DAYS[0]),
        (" 1709341323 ", TIMES_MS[2]),
        ("1.7093413230E+09", TIMES_MS[2]),
    ],
)
def test_a_text_of_one_time(read_times, text, time_ms):
    assert read_times([text])[1] == [time_ms]


def test_texts_of_both(read_times):
    what, times_ms = read_times(["2023-10-29", str(TIMES_MS[0]), "soon", ""])
    assert what == "texts of times (UTC where they have no zone) and milliseconds since 1970"
    assert times_ms == [DAYS[0], TIMES_MS[0], None, None]


@pytest.mark.parametrize("values", [pa.array([TIMES_MS[0], 0, -1, 99_999]), [str(TIMES_MS[0]), "0", "-1", "99999"]])
def test_small_numbers_take_the_unit_of_the_others(read_times, values):
    assert read_times(values)[1] == [TIMES_MS[0], 0, -1, 99_999]


def test_small_numbers_alone_are_seconds(read_times):
    assert read_times(pa.array([0, 99_999])) == ("numbers of seconds since 1970", [0, 99_999_000])


@pytest.mark.parametrize("value", ["infinity", "290000-01-01", "9223372036854775807", "-1e18", "1e30", "NaN", "1_"])
def test_a_time_that_no_calendar_has_is_none(read_times, value):
    assert read_times([str(TIMES_MS[0]), value])[1] == [TIMES_MS[0], None]


TEXT = "2024-01-31"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([True]), "timestamp is of type boolean, which holds no time. Give times"),
        (pa.array([TEXT.encode()]), "is of type binary"),
        (pa.array([datetime.time(12)]), "is of type time"),
        (pa.array([[1]]), "is of type array<int64>"),
        (pa.array([{"t": 1}]), "is of type struct"),
        (pa.array([1.7e9], pa.float32()), "is of type float32, which rounds times to minutes. Give float64"),
        (pa.array([20240131]), "numbers such as 20240131, which look like dates. Give times"),
        (["20240131", "20240201"], "numbers such as 20240131, which look like dates"),
        ([20240131_134500], "numbers such as 20240131134500, which look like dates"),
        (["31.01.2024", ""], "no timestamp is a time; they are such as '31.01.2024'. Give times"),
        (["01/31/2024", "02/01/2024"], "such as '01/31/2024'"),
        (["Wed, 31 Jan 2024 00:00:00 GMT"], "such as 'Wed, 31 Jan 2024 00:00:00 GMT'"),
    ],
)
def test_what_is_no_time_is_refused_in_one_sentence(read_times, values, message):
    with pytest.raises(InputError) as refused:
        read_times(values)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("is_text", [False, True])
def test_a_column_that_mixes_units_is_refused_with_examples(read_times, is_text):
    numbers = [*in_unit("s"), *in_unit("ms"), in_unit("ns")[0]]
    message = (
        r"mixes units: 3 in seconds \(such as 1698539400\), 3 in milliseconds \(such as 1698539400123\), "
        r"1 in nanoseconds \(such as 1698539400123000000\). Give all numbers in one unit."
    )
    with pytest.raises(InputError, match=message):
        read_times([str(number) for number in numbers] if is_text else pa.array(numbers))


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1_704_067_200_123, -1, -1001])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_number_keeps_its_milliseconds(time_ms, unit):
    per_ms = PER_SECOND[unit] // 1000
    table = ibis.memtable({"number": [time_ms * per_ms, time_ms * per_ms + per_ms - 1]})
    assert epoch_ms(from_epoch(table.number, unit)).to_pyarrow().to_pylist() == [time_ms] * 2
