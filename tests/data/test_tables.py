"""Tables: DuckDB and Spark give the same rows.

They are compared on a generated world, its CSV export and real reviews.
"""

import gzip
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from feature_repo.materialize import materialize
from redrec.config import InputError
from redrec.data.prepare import DataConfig, prepare
from redrec.data.tables import Engine, connect, epoch_ms, read
from redrec.data.times import time_format, utc_times
from redrec.datasets.world import World
from tests.spark import on_spark
from tests.worlds import SMALL_RECIPE, SMALL_WORLD

REVIEWS = Path(__file__).parents[3] / "shared" / "data" / "amazon-beauty-sports-toys"
NUM_REVIEWS = 20_000
TIME = datetime(2024, 1, 1, microsecond=123_000, tzinfo=UTC)
ENGINES: tuple[Engine, ...] = ("duckdb", "spark")


def prepared_by_both(events: Path, items: Path, folder: Path, config: DataConfig) -> list[Path]:
    folders = [folder / engine for engine in ENGINES]
    qualities = [
        prepare(events, items, out, config.model_copy(update={"engine": engine}))
        for engine, out in zip(ENGINES, folders, strict=True)
    ]
    assert qualities[0] == qualities[1]
    assert qualities[0].events.kept > 1000
    return folders


def file_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def sources_of(features: Path) -> dict[str, list]:
    return {path.name: pq.read_table(path).to_pylist() for path in (features / "sources").iterdir()}


def assert_equal(duckdb: Path, spark: Path) -> None:
    """Assert that two data folders hold the same rows in the same order, and the same bytes of histories."""
    assert file_names(duckdb) == file_names(spark)
    for name in file_names(duckdb):
        if name.endswith(".parquet"):
            assert pq.read_table(duckdb / name).to_pylist() == pq.read_table(spark / name).to_pylist(), name
        else:
            assert (duckdb / name).read_bytes() == (spark / name).read_bytes(), name


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Path, Path]:
    return World(SMALL_WORLD).write(tmp_path_factory.mktemp("world"))


@on_spark
def test_both_engines_prepare_a_generated_world_alike(world, tmp_path):
    duckdb, spark = prepared_by_both(*world, tmp_path, SMALL_RECIPE.data.model_copy(update={"has_validation": True}))
    assert_equal(duckdb, spark)

    for engine, folder in zip(ENGINES, (duckdb, spark), strict=True):
        materialize(folder, tmp_path / f"{engine}-features", 5, engine)
    sources = [sources_of(tmp_path / f"{engine}-features") for engine in ENGINES]
    assert len(sources[0]) == 6
    assert sources[0] == sources[1]


@on_spark
def test_both_engines_leave_out_the_same_events_of_a_csv_table(world, tmp_path):
    events = pq.read_table(world[0])
    ids = pa.array([user_id.replace("u0000", "") for user_id in events["user_id"].to_pylist()])  # 0012: no number
    pa_csv.write_csv(events.set_column(0, "user_id", ids), tmp_path / "events.csv")
    config = DataConfig(split="leave_last_out_per_scenario", has_validation=True)
    folders = prepared_by_both(tmp_path / "events.csv", world[1], tmp_path, config)
    assert_equal(*folders)
    assert pq.read_table(folders[0] / "histories" / "users.parquet")["user_id"][0].as_py() == "0000"


@on_spark
def test_both_engines_prepare_real_reviews_alike(tmp_path):
    if not REVIEWS.is_dir():
        pytest.skip(f"needs the reviews in {REVIEWS}")
    with gzip.open(REVIEWS / "interactions.csv.gz", "rt") as source:
        (tmp_path / "events.csv").write_text("".join(itertools.islice(source, NUM_REVIEWS)))
    config = DataConfig(split="leave_last_out")
    assert_equal(*prepared_by_both(tmp_path / "events.csv", REVIEWS / "items.csv.gz", tmp_path, config))


@on_spark
def test_both_engines_read_the_times_and_lists_of_text_alike(tmp_path):
    times = ["1704067200123", "2024-01-01 00:00:00.123", "2024-01-01T00:00:00.123Z", "2024-01-01 02:00:00.123+02:00"]
    rows = [f"u{n},a{n % 2},ads,click,{time}" for n, time in enumerate(times * 300)]
    (tmp_path / "events.csv").write_text(
        "\n".join(["user_id,item_id,scenario,action,timestamp", *rows, "u,a1,ads,x,soon"])
    )
    (tmp_path / "items.csv").write_text(
        """item_id,title,tags,available_from,available_until\na0,"9"" plate","['a b', c]",2024-01-01 01:00:00.123+01:00,\n"""
        "a1,,a b|c,,1704067200.123\n"
    )
    folders = prepared_by_both(tmp_path / "events.csv", tmp_path / "items.csv", tmp_path, DataConfig())
    assert_equal(*folders)
    assert pq.read_table(folders[1] / "events.parquet")["timestamp"].unique().to_pylist() == [TIME]
    items = pq.read_table(folders[1] / "items.parquet")
    assert items["available_from"].to_pylist() == [TIME, None]
    assert items["available_until"].to_pylist() == [None, TIME]


def times_read_by(engine: Engine, path: Path) -> dict[str, list[int]]:
    table = read(connect(engine), path, "events")
    times = {}
    for name in table.columns:
        column = table.select(timestamp=table[name])
        times[name] = utc_times(table[name], time_format(column).unit)
    return table.select(**{name: epoch_ms(time) for name, time in times.items()}).to_pyarrow().to_pydict()


@on_spark
def test_both_engines_read_the_times_of_parquet_alike(tmp_path):
    times = pa.array([1_709_296_215_000], pa.timestamp("ms"))
    types = [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Europe/Warsaw")]
    columns = {str(kind): times.cast(pa.timestamp(kind.unit)).cast(kind) for kind in types}
    seconds = pa.array([1_709_296_215])
    columns |= {str(kind): seconds.cast(kind) for kind in (pa.int32(), pa.uint64(), pa.float64(), pa.decimal128(38, 9))}
    pq.write_table(pa.table(columns), tmp_path / "times.parquet")
    pq.write_table(pa.table({"int96": times}), tmp_path / "int96.parquet", use_deprecated_int96_timestamps=True)

    for engine in ENGINES:
        assert times_read_by(engine, tmp_path / "times.parquet") == {name: [1_709_296_215_000] for name in columns}
        assert times_read_by(engine, tmp_path / "int96.parquet") == {"int96": [1_709_296_215_000]}


NAMES = ("user_id", "value", "seen", "note")
TEXTS = [
    ("007", "1.5", "2026-11-02T00:00:00.000+00:00", 'a "b", c'),
    ("2026-01-01", "10", "2026-11-02T00:00:00.001+00:00", "日本\n"),
    ("6F9619FF-8B86-D011-B42D-00CF4FC964FF", "0", "2026-11-02T00:00:00.002+00:00", "true"),
]


def folders_of_each_type(folder: Path) -> dict[str, Path]:
    """Write the rows by each type in two files, the second in a folder of a partition, beside what is no table."""
    folders = {name: folder / name for name in ("csv", "csv.gz", "jsonl", "json", "parquet")}
    for name, path in folders.items():
        for rows, file in ((TEXTS[:2], path / f"a.{name}"), (TEXTS[2:], path / "partition=0" / f"b.{name}")):
            file.parent.mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist([dict(zip(NAMES, row, strict=True)) for row in rows])
            if name.startswith("csv"):
                with pa.output_stream(str(file)) as stream:  # compressed if its name says so
                    pa_csv.write_csv(table, stream)
            elif name == "parquet":
                pq.write_table(table, file)
            else:
                file.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
        (path / "interleaved").mkdir()
        (path / "interleaved" / f"c.{name}").write_text("other rows")
        (path / f".hidden.{name}").write_text("half a row")
        (path / f"empty.{name}").write_text("")
        (path / "README").write_text("no table")
    return folders


def rows_of(engine: Engine, path: Path) -> list[tuple[str, ...]]:
    table = read(connect(engine), path, "rows").order_by("seen").to_pyarrow()
    return [tuple(row[name] for name in NAMES) for row in table.to_pylist()]


@on_spark
def test_a_folder_of_any_type_and_a_file_give_the_same_texts(tmp_path):
    for name, folder in folders_of_each_type(tmp_path).items():
        for engine in ENGINES:
            assert rows_of(engine, folder) == TEXTS, (name, engine)
            assert rows_of(engine, folder / f"a.{name}") == TEXTS[:2], (name, engine)


def test_numbers_of_json_are_texts_too(tmp_path):
    (tmp_path / "clicks.jsonl").write_text(
        '{"user_id": "u", "value": 1.5}\n{"value": 7, "user_id": "v"}\n{"user_id": "w"}\n'
    )
    table = read(connect(), tmp_path, "clicks").order_by("user_id").to_pyarrow()
    assert table["value"].to_pylist() == ["1.5", "7", None]


def test_a_folder_of_several_types_or_of_none_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"has no file with rows\. Give a folder with files of one type: \.parquet, \.csv"
    ):
        read(connect(), tmp_path, "clicks")
    (tmp_path / "a.csv").write_text("user_id\nu\n")
    (tmp_path / "a.jsonl").write_text('{"user_id": "u"}\n')
    with pytest.raises(InputError, match="has files of several types: json, text. Leave those of one"):
        read(connect(), tmp_path, "clicks")
    (tmp_path / "a.csv").unlink()
    (tmp_path / "b.jsonl").write_text('{"user_id": "u')
    with pytest.raises(InputError, match="cannot be read.*Check that it is a whole file"):
        read(connect(), tmp_path, "clicks").to_pyarrow()
