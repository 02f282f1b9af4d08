"""Forget: a user is gone from the online store, its sources and a run's files, and nobody else is."""

import json
import shutil

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
from redrec.data.forget import Forgotten, Person, check_logs, forget_in_run
from tests.redis_server import free_port, start_redis, stop

NAMED = "u-forget-me*'%"  # a pattern to Redis and to SQL, if anything took it for one
OTHERS = [f"u{number}" for number in range(60)]


@pytest.fixture
def folder(data, online_store, tmp_path):
    """The users of `data`, and one more, who did what u3 did."""
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
    sources = [pq.read_table(path).to_pylist() for path in sorted((folder / "sources").iterdir())]
    return stored, [[row for row in rows if row.get("user_id") != NAMED] for rows in sources]


def bytes_of(folder, online_store, redis_port):
    """Everything the online store holds, as bytes."""
    if online_store == "sqlite":
        return b"".join(path.read_bytes() for path in folder.glob("online.db*"))
    from redis import Redis

    client = Redis(port=redis_port)
    return b"".join(part for key in client.scan_iter("*") for part in (key, *client.hgetall(key).values()))


def test_a_user_is_gone_to_the_last_byte_and_all_others_are_as_before(folder, online_store, request):
    port = request.getfixturevalue("redis_port") if online_store == "redis" else None
    before = others(folder)
    assert NAMED.encode() in bytes_of(folder, online_store, port)

    found = forget_features(folder, Person(NAMED))
    assert {of.left for of in found.values()} == {0}
    assert [of.removed for of in found.values()] == [3, 1, 1, 1]
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
    found = forget_features(folder, Person(NAMED, "homefeed"))
    assert [of.removed for of in found.values()] == [1, 1]
    after = OnlineHistories(folder).read(NAMED)
    assert set(after["scenarios"]) == set(before["scenarios"]) - {"homefeed"}


def test_a_user_whose_id_begins_alike_stays(folder):
    forget_features(folder, Person("u1"))
    online = OnlineHistories(folder)
    assert online.read("u1") is None
    assert all(online.read(user_id) for user_id in ("u11", "u12", NAMED))


def test_an_unknown_scenario_is_refused(folder):
    with pytest.raises(InputError, match="of this store: homefeed, search, ads"):
        forget_features(folder, Person("u1", "shop"))


def test_what_could_not_be_deleted_is_counted_as_left(folder, monkeypatch):
    """The proof is a proof: a deletion that does nothing is found out."""
    for store in ("sqlite", "redis"):
        monkeypatch.setattr(forget, f"_delete_in_{store}", lambda *_: None)
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


@pytest.fixture
def run(tmp_path):
    """The files of a run folder that name users, and an experiment's log."""
    users = {
        "user_id": ["u1", "u1", "u12", "u2"],
        "scenario": ["ads", "homefeed", "ads", "ads"],
        "ranks": [[1], [2], [3], [4]],
    }
    pq.write_table(pa.table(users), tmp_path / "users.parquet")
    pq.write_table(
        pa.table({"user_id": ["u2", "u1", None], "scenario": ["ads"] * 3, "arm": ["a", "b", "a"]}),
        tmp_path / "log.parquet",
    )
    bad = [f"user_id={user}, item_id=u1, scenario=ads, action=, timestamp=1" for user in ("u1", "u12", "u2")]
    quarantine = {"reason": ["action is missing"] * 3, "row": bad, "table": ["events"] * 3}
    pq.write_table(pa.table(quarantine), tmp_path / "quarantine.parquet")
    (tmp_path / "examples.json").write_text(json.dumps([{"user_id": user, "history": []} for user in ("u1", "u12")]))
    return tmp_path


def test_a_runs_files_lose_the_user_alone(run):
    found = forget_in_run(run, [run / "log.parquet"], Person("u1"))
    assert list(found.values()) == [Forgotten(2, 0), Forgotten(1, 0), Forgotten(1, 0), Forgotten(1, 0)]
    assert pq.read_table(run / "users.parquet").to_pydict() == {
        "user_id": ["u12", "u2"],
        "scenario": ["ads"] * 2,
        "ranks": [[3], [4]],
    }
    assert pq.read_table(run / "log.parquet")["user_id"].to_pylist() == ["u2", None]
    assert [row.split(",")[0] for row in pq.read_table(run / "quarantine.parquet")["row"].to_pylist()] == [
        "user_id=u12",
        "user_id=u2",
    ]
    assert [example["user_id"] for example in json.loads((run / "examples.json").read_text())] == ["u12"]


def test_a_runs_files_lose_one_scenario_alone(run):
    forget_in_run(run, [run / "log.parquet"], Person("u1", "homefeed"))
    assert pq.read_table(run / "users.parquet")["user_id"].to_pylist() == ["u1", "u12", "u2"]
    assert pq.read_table(run / "log.parquet").num_rows == pq.read_table(run / "quarantine.parquet").num_rows == 3


def test_a_log_that_cannot_say_whose_a_row_is_is_refused(run):
    pq.write_table(pa.table({"who": ["u1"]}), run / "who.parquet")
    with pytest.raises(InputError, match=r"has no column user_id; it has who"):
        check_logs([run / "who.parquet"], Person("u1"))
    with pytest.raises(InputError, match="is no Parquet file"):
        check_logs([run / "examples.json"], Person("u1"))
