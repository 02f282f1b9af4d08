"""Rows: which rows of the tables count, whatever the type of their time, and each once."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from redrec.data.tables import connect
from redrec.experiments.rows import NOTHING, Earlier, Files, Rows, read_rows, unusable_values
from tests.experiments.logs import START, planned, simulated, written
from tests.spark import on_spark


@pytest.fixture(scope="module")
def tables():
    return simulated(1, num_users=50)


def rows_of(tables, folder: Path, engine="duckdb", through=None, earlier=NOTHING) -> Rows:
    folder.mkdir()
    return read_rows(connect(engine), Files(*written(tables, folder)), planned(), folder, through, earlier)


def contents(rows: Rows) -> list[list[tuple]]:
    """Return the rows of both tables as sorted tuples."""
    columns = [
        (rows.exposed, ["scenario", "user_id", "arm", "ms"]),
        (rows.happened, ["scenario", "user_id", "event", "value", "ms"]),
    ]
    tables = [table.select(*names).to_pyarrow().to_pydict() for table, names in columns]
    return [sorted(zip(*table.values(), strict=True)) for table in tables]


def with_time(table: pa.Table, kind: pa.DataType) -> pa.Table:
    return table.set_column(table.schema.get_field_index("timestamp"), "timestamp", table["timestamp"].cast(kind))


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.timestamp("ms", "Europe/Berlin"), pa.string(), pa.int64()],
)
def test_rows_are_the_same_for_all_types_of_time(tables, tmp_path, kind):
    """A time without a zone is UTC."""
    plain = contents(rows_of(tables, tmp_path / "plain"))
    changed = tables._replace(exposures=with_time(tables.exposures, kind), outcomes=with_time(tables.outcomes, kind))
    assert contents(rows_of(changed, tmp_path / "changed")) == plain
    assert len(plain[0]) == len(tables.exposures)


@on_spark
def test_spark_gives_the_same_rows(tables, tmp_path):
    twice = tables._replace(exposures=pa.concat_tables([tables.exposures, tables.exposures.slice(0, 9)]))
    ours, theirs = (contents(rows_of(twice, tmp_path / engine, engine)) for engine in ("duckdb", "spark"))
    assert ours == theirs


def test_a_folder_of_csv_files_has_the_rows_of_its_table(tables, tmp_path):
    plain = contents(rows_of(tables, tmp_path / "plain"))
    folder = tmp_path / "exposures"
    folder.mkdir()
    half = len(tables.exposures) // 2
    pa.csv.write_csv(tables.exposures.slice(0, half), folder / "1.csv")
    pa.csv.write_csv(tables.exposures.slice(half), folder / "2.csv")
    files = Files(folder, tmp_path / "plain" / "outcomes.parquet")
    assert contents(read_rows(connect(), files, planned(), tmp_path, None)) == plain


def test_only_rows_after_the_earlier_days_and_before_the_end_count(tables, tmp_path):
    through = START + timedelta(days=3, hours=1)
    rows = contents(rows_of(tables, tmp_path / "rows", through=through, earlier=Earlier(days=2)))
    day_ms = 24 * 3_600_000
    for table in rows:
        assert {row[-1] // day_ms for row in table} == {2, 3}
        assert max(row[-1] for row in table) < 3 * day_ms + 3_600_000


def test_rows_without_an_id_all_count(tables, tmp_path):
    ids = pa.array([None] * len(tables.exposures), pa.string())
    at = tables.exposures.column_names.index("exposure_id")
    without = tables._replace(exposures=tables.exposures.set_column(at, "exposure_id", ids))
    rows = rows_of(without, tmp_path / "rows")
    assert contents(rows)[0] == contents(rows_of(tables, tmp_path / "plain"))[0]
    assert rows.faults.count().to_pyarrow().as_py() == 0


def test_of_two_contents_of_an_id_one_counts_and_one_is_a_fault(tables, tmp_path):
    changed = tables.outcomes.slice(0, 3).to_pandas()
    changed["value"] += 1
    outcomes = pa.concat_tables([tables.outcomes, pa.Table.from_pandas(changed, schema=tables.outcomes.schema)])
    rows = rows_of(tables._replace(outcomes=outcomes), tmp_path / "rows")
    assert len(contents(rows)[1]) == len(tables.outcomes)
    assert rows.faults.to_pyarrow()["fault"].to_pylist() == ["outcomes with the event_id of another"] * 3


def test_a_row_without_a_time_is_a_fault(tables, tmp_path):
    times = tables.outcomes["timestamp"].to_pylist()
    at = tables.outcomes.column_names.index("timestamp")
    outcomes = tables.outcomes.set_column(at, "timestamp", pa.array([None, *times[1:]], pa.timestamp("us", "UTC")))
    rows = rows_of(tables._replace(outcomes=outcomes), tmp_path / "rows")
    assert rows.faults.to_pyarrow()["fault"].to_pylist() == ["outcomes without a time"]


def test_events_with_an_unusable_value_are_named_once_with_all_their_rows():
    days = [("ads", "click", 3, 3, 2.0), ("ads", "click", 4, 4, float("inf")), ("search", "hide", 2, 1, 1.0)]
    days += [("ads", "hide", 1, 1, 1.0), ("search", "click", 5, 5, 2.0**40)]
    names = ("scenario", "event", "num_rows", "num_values", "size")
    counts = [dict(zip(names, day, strict=True)) for day in days]
    faults = unusable_values(counts, bits_E=(20, 20, 20), plan=planned())
    assert [(fault["scenario"], fault["num_rows"]) for fault in faults] == [("ads", 7), ("search", 5), ("search", 2)]
    assert faults[0]["fault"] == "outcomes of click among which are values that are no finite numbers"
    assert faults[1]["fault"].endswith("values that are millions of times as large as those of the first day")


def test_a_file_in_time_order_is_read_only_where_its_days_are(tmp_path):
    """The engine sees the time column's own bounds: row groups of other days are skipped."""
    tables = simulated(2, num_users=50)
    exposures = tables.exposures.sort_by("timestamp")
    pq.write_table(exposures, tmp_path / "exposures.parquet", row_group_size=100)
    pq.write_table(tables.outcomes, tmp_path / "outcomes.parquet")
    files = Files(tmp_path / "exposures.parquet", tmp_path / "outcomes.parquet")
    connection = connect()
    rows = read_rows(connection, files, planned(), tmp_path, None, Earlier(days=6))
    plan = "\n".join(row[1] for row in connection.con.sql(f"EXPLAIN {connection.compile(rows.exposed)}").fetchall())
    assert "timestamp>=" in plan.replace(" ", "")
