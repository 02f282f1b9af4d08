"""Forget: a user is gone from the online store, its sources and a run's files, and nobody else is."""

import shutil
import sqlite3

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feature_repo import forget
from feature_repo.forget import forget_features
from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
from feature_repo.store import StoreUnavailableError
from redrec.config import InputError
from redrec.data.person import Forgotten, Person
from tests.redis_server import free_port, start_redis, stop

NAMED = "u-forget-me*'%"  # special in patterns of Redis and of SQL
OTHERS = [f"u{number}" for number in range(60)]


@pytest.fixture
def folder(data, online_store, tmp_path):
    """The users of `data`, and one more with the events of u3."""
    shutil.copytree(data, tmp_path / "data")
    events = pq.read_table(data / "events.parquet")
    of_u3 = events.filter(pc.equal(events["user_id"], "u3"))
    named = of_u3.set_column(0, events.schema.field(0), pa.array([NAMED] * len(of_u3)))
    pq.write_table(pa.concat_tables([events, named]), tmp_path / "data" / "events.parquet")
    materialize(tmp_path / "data", tmp_path / "features")
    return tmp_path / "features"


def others(folder):
    online = OnlineHistories(folder)
    stored = [online.read_scenario(scenario, OTHERS) for scenario in online.view_of_scenario]
    return stored, [rows_of_others(path) for path in sorted((folder / "sources").iterdir())]


def rows_of_others(path):
    return [row for row in pq.read_table(path).to_pylist() if row.get("user_id") != NAMED]


def bytes_of(folder, online_store, redis_port):
    """Everything the online store holds, as bytes."""
    if online_store == "sqlite":
        return b"".join(path.read_bytes() for path in folder.glob("online.db*"))
    from redis import Redis

    client = Redis(port=redis_port)
    return b"".join(key + b"".join(client.hgetall(key).values()) for key in client.scan_iter("*"))


def test_a_user_is_gone_to_the_last_byte_and_all_others_are_as_before(folder, online_store, request):
    port = request.getfixturevalue("redis_port") if online_store == "redis" else None
    before = others(folder)
    assert NAMED.encode() in bytes_of(folder, online_store, port)

    results = forget_features(folder, Person(NAMED))
    assert {result.left for result in results.values()} == {0}
    assert [result.removed for result in results.values()] == [3, 1, 1, 1]
    assert OnlineHistories(folder).read(NAMED) is None
    assert NAMED.encode() not in bytes_of(folder, online_store, port)
    assert others(folder) == before


def test_forgetting_twice_finds_nothing_the_second_time(folder):
    forget_features(folder, Person(NAMED))
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert set(forget_features(folder, Person(NAMED)).values()) == {Forgotten(0, 0)}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == files


def test_one_scenario_is_forgotten_and_the_others_stay(folder):
    before = OnlineHistories(folder).read(NAMED)
    results = forget_features(folder, Person(NAMED, "homefeed"))
    assert [result.removed for result in results.values()] == [1, 1]
    after = OnlineHistories(folder).read(NAMED)
    assert set(after["scenarios"]) == set(before["scenarios"]) - {"homefeed"}


@pytest.mark.parametrize("user_id", ["u*", "u%", "u_", "u'; DROP TABLE", "u[0-9]", ".*"])
def test_an_id_that_is_a_pattern_means_itself(folder, user_id):
    before = others(folder)
    assert set(forget_features(folder, Person(user_id)).values()) == {Forgotten(0, 0)}
    assert others(folder) == before


def test_a_key_without_events_is_deleted(folder, online_store, request):
    """For a reader the user is unknown, but the key has the id."""
    port = request.getfixturevalue("redis_port") if online_store == "redis" else None
    online = OnlineHistories(folder)
    at = pd.Timestamp("2026-01-01", tz="UTC")
    row = {"user_id": "u-empty", "event_timestamp": at, "item_ids": [], "actions": [], "timestamps_ms": []}
    online.write_rows(online.view_of_scenario["ads"], pd.DataFrame([row]))
    assert b"u-empty" in bytes_of(folder, online_store, port)

    assert next(iter(forget_features(folder, Person("u-empty")).values())) == Forgotten(1, 0)
    assert b"u-empty" not in bytes_of(folder, online_store, port)


def test_bytes_that_an_earlier_write_left_in_sqlite_go_too(data, tmp_path):
    """A build of SQLite may unlink replaced rows without overwriting their bytes."""
    materialize(data, tmp_path / "features")
    connection = sqlite3.connect(tmp_path / "features" / "online.db")
    connection.execute("PRAGMA secure_delete = OFF")
    (table, *_), *_ = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%homefeed'").fetchall()
    with connection:
        connection.execute(f"INSERT INTO {table} (entity_key, value) VALUES (?, ?)", (b"u-left-over", b"x" * 500))
        connection.execute(f"DELETE FROM {table} WHERE entity_key = ?", (b"u-left-over",))
    connection.close()
    assert b"u-left-over" in bytes_of(tmp_path / "features", "sqlite", None)

    forget_features(tmp_path / "features", Person("u-left-over"))
    assert b"u-left-over" not in bytes_of(tmp_path / "features", "sqlite", None)


def test_a_sqlite_file_that_is_being_written_is_named_and_nothing_is_changed(data, tmp_path, monkeypatch):
    materialize(data, tmp_path / "features")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = sqlite3.connect(tmp_path / "features" / "online.db")
    other.execute("BEGIN EXCLUSIVE")
    at_once = lambda *arguments, **options: connect(*arguments, **{**options, "timeout": 0})  # noqa: E731
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", at_once)
    with pytest.raises(StoreUnavailableError, match=r"sqlite online.db.*locked"):
        forget_features(tmp_path / "features", Person("u1"))
    other.close()
    assert {path: path.read_bytes() for path in files} == files


def test_a_sqlite_file_that_may_not_be_written_is_named_and_nothing_is_changed(data, tmp_path, monkeypatch):
    materialize(data, tmp_path / "features")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    connect = sqlite3.connect

    def read_only(path, **options):
        return connect(f"file:{path}?mode=ro", uri=True, **options)  # as a mount; root may write whatever its mode

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(StoreUnavailableError, match=r"sqlite online.db.*readonly"):
        forget_features(tmp_path / "features", Person("u1"))
    assert {path: path.read_bytes() for path in files} == files


def test_a_user_whose_id_begins_alike_stays(folder):
    forget_features(folder, Person("u1"))
    online = OnlineHistories(folder)
    assert online.read("u1") is None
    assert all(online.read(user_id) for user_id in ("u11", "u12", NAMED))


def test_an_unknown_scenario_is_refused(folder):
    with pytest.raises(InputError, match="of this store: homefeed, search, ads"):
        forget_features(folder, Person("u1", "shop"))


def test_a_key_that_could_not_be_deleted_is_counted_as_left(folder, monkeypatch):
    """The second count detects a deletion that does nothing."""
    for store in (forget._InSqlite, forget._InRedis):
        monkeypatch.setattr(store, "delete", lambda _: None)
    online, *_ = forget_features(folder, Person("u1")).values()
    assert online.left == online.removed > 0


@pytest.mark.redis
def test_while_redis_is_away_nothing_is_changed(data, redis, monkeypatch, tmp_path):
    port = free_port()
    server = start_redis(port)
    monkeypatch.setenv("REDREC_REDIS", f"localhost:{port}")
    materialize(data, tmp_path / "features")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    stop(server)
    with pytest.raises(StoreUnavailableError, match=f"localhost:{port}"):
        forget_features(tmp_path / "features", Person("u1"))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == files
