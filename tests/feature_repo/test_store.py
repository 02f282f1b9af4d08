"""Store: the environment alone chooses the online store; both hold the same, also after an update or a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from redis import Redis

from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
from feature_repo.push import PushedEvent, Pusher
from feature_repo.store import StoreUnavailableError
from redrec.config import InputError
from tests.redis_server import free_port, start_redis, stop

USERS = [f"u{number}" for number in range(60)]
LAST_MS = 1_767_227_600_000  # some way into the events of `data`


def everything(folder: Path) -> dict:
    online = OnlineHistories(folder)
    return {name: online.read_scenario(name, USERS) for name in online.view_of_scenario}


def num_histories(stored: dict) -> int:
    return sum(sum(map(bool, histories)) for histories in stored.values())


def changed(data: Path, to: Path, keep) -> Path:
    """Copy the data folder with the events for which `keep(events)` is true."""
    shutil.copytree(data, to)
    events = pq.read_table(data / "events.parquet")
    pq.write_table(events.filter(keep(events)), to / "events.parquet")
    return to


def before(time_ms: int):
    return lambda events: pc.less(events["timestamp"], pa.scalar(time_ms * 1000, pa.timestamp("us", "UTC")))


@pytest.fixture
def from_sqlite(data, tmp_path):
    materialize(data, tmp_path / "sqlite")
    return everything(tmp_path / "sqlite")


@pytest.mark.redis
def test_redis_holds_what_sqlite_holds(data, from_sqlite, redis, tmp_path):
    report = materialize(data, tmp_path / "features")
    assert report["written"] == num_histories(from_sqlite)
    assert everything(tmp_path / "features") == from_sqlite
    assert not (tmp_path / "features" / "online.db").exists()


@pytest.mark.redis
def test_a_second_run_writes_nothing(data, redis, tmp_path):
    materialize(data, tmp_path / "features")
    stored = everything(tmp_path / "features")
    assert materialize(data, tmp_path / "features")["written"] == 0
    assert everything(tmp_path / "features") == stored


@pytest.mark.redis
def test_more_events_write_the_histories_of_their_users_alone(data, from_sqlite, redis, tmp_path):
    """The first run lacks the newest events, and those of one user."""
    materialize(
        changed(data, tmp_path / "earlier", lambda e: pc.and_(before(LAST_MS)(e), pc.not_equal(e["user_id"], "u7"))),
        tmp_path / "features",
    )
    events = pq.read_table(data / "events.parquet")
    is_new = pc.or_(pc.invert(before(LAST_MS)(events)), pc.equal(events["user_id"], "u7"))
    touched = {(row["user_id"], row["scenario"]) for row in events.filter(is_new).to_pylist()}

    assert 0 < len(touched) < 120
    assert materialize(data, tmp_path / "features")["written"] == len(touched)
    assert everything(tmp_path / "features") == from_sqlite


@pytest.mark.redis
def test_the_log_replaces_older_pushed_events_and_newer_ones_stay(data, redis, tmp_path):
    materialize(data, tmp_path / "features")
    item_id, now = pq.read_table(data / "events.parquet")["item_id"][0].as_py(), 1_790_000_000_000
    Pusher(tmp_path / "features", {item_id}).push(
        [PushedEvent("u3", item_id, "ads", "click", time_ms) for time_ms in (LAST_MS, now)]
    )

    materialize(data, tmp_path / "features")
    times = [event.timestamp_ms for event in OnlineHistories(tmp_path / "features").read_scenario("ads", ["u3"])[0]]
    assert times[-1] == now
    assert LAST_MS not in times


KILLED_HALFWAY = """
import os, signal, sys
from pathlib import Path
import feature_repo.materialize as m
m.ROWS_PER_BLOCK = 7
m.logger.info = lambda *arguments: arguments[2] > 20 and os.kill(os.getpid(), signal.SIGKILL)
m.materialize(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_after_a_kill_a_second_run_equals_an_undisturbed_one(data, from_sqlite, online_store, request, tmp_path):
    """SQLite is built anew; Redis keeps what was written, and only the rest is added."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", KILLED_HALFWAY, str(data), str(tmp_path / "features")]
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL
    assert not (tmp_path / "features").exists()
    num_before = request.getfixturevalue("redis").dbsize() if online_store == "redis" else 0
    assert (0 < num_before < len(USERS)) == (online_store == "redis")

    report = materialize(data, tmp_path / "features")
    assert report["written"] == num_histories(from_sqlite) - num_before
    assert everything(tmp_path / "features") == from_sqlite


@pytest.mark.redis
def test_a_redis_that_is_down_is_named_without_its_password_and_a_second_run_completes(
    data, from_sqlite, redis, monkeypatch, tmp_path
):
    port = free_port()
    monkeypatch.setenv("REDREC_REDIS", f"localhost:{port},password=secret")
    with pytest.raises(StoreUnavailableError, match=f"redis localhost:{port}") as error:
        materialize(data, tmp_path / "features")
    assert "secret" not in str(error.value)
    assert not (tmp_path / "features").exists()

    server = start_redis(port)
    Redis(port=port).config_set("requirepass", "secret")
    materialize(data, tmp_path / "features")
    assert everything(tmp_path / "features") == from_sqlite
    assert not [
        path for path in (tmp_path / "features").rglob("*") if path.is_file() and b"secret" in path.read_bytes()
    ]
    online = OnlineHistories(tmp_path / "features")
    stop(server)
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        online.read("u3")


@pytest.mark.redis
def test_the_error_of_a_folder_made_for_redis_names_the_missing_variable(data, redis, monkeypatch, tmp_path):
    materialize(data, tmp_path / "features")
    monkeypatch.delenv("REDREC_REDIS")
    with pytest.raises(InputError, match="asks for the environment variable 'REDREC_REDIS'"):
        OnlineHistories(tmp_path / "features")


@pytest.fixture
def bucket(monkeypatch):
    """An object store that speaks S3, with one bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "FEAST_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="redrec")
    yield "s3://redrec"
    server.stop()


@pytest.fixture(params=["object store", "sql"])
def registry(request, tmp_path):
    return (
        f"sqlite:///{tmp_path}/registry.sql"
        if request.param == "sql"
        else f"{request.getfixturevalue('bucket')}/registry.db"
    )


@pytest.mark.redis
def test_the_registry_may_be_in_an_object_store_or_an_sql_database(
    data, from_sqlite, redis, registry, monkeypatch, tmp_path
):
    monkeypatch.setenv("REDREC_REGISTRY", registry)
    materialize(data, tmp_path / "features")
    assert sorted(path.name for path in (tmp_path / "features").iterdir()) == ["feature_store.yaml", "sources"]
    assert everything(tmp_path / "features") == from_sqlite


@pytest.mark.redis
def test_runs_with_other_scenarios_do_not_touch_each_other_in_a_shared_registry(
    data, from_sqlite, redis, monkeypatch, tmp_path
):
    monkeypatch.setenv("REDREC_REGISTRY", f"sqlite:///{tmp_path}/registry.sql")
    materialize(data, tmp_path / "features")
    other = changed(data, tmp_path / "other", lambda events: pc.not_equal(events["scenario"], "ads"))
    split = json.loads((other / "split.json").read_text())
    (other / "split.json").write_text(json.dumps({**split, "scenarios": ["homefeed", "search"]}))
    materialize(other, tmp_path / "others")
    assert everything(tmp_path / "features") == from_sqlite
    assert list(everything(tmp_path / "others")) == ["homefeed", "search"]
