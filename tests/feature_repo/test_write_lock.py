"""Processes that write into one store at once, on both online stores."""

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest
from redis import Redis

from feature_repo import write_lock
from feature_repo.forget import forget_features
from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
from feature_repo.push import PushedEvent, Pusher
from feature_repo.store import StoreUnavailableError
from feature_repo.write_lock import writing
from redrec.data.person import Person

NUM_PROCESSES, PUSHES, SPAWN = 3, 20, multiprocessing.get_context("spawn")
WAIT_S = 120


@pytest.fixture
def folder(data, online_store, tmp_path) -> Path:
    materialize(data, tmp_path / "features", 200)
    return tmp_path / "features"


def push_some(folder: Path, process: int, start: Barrier) -> None:
    pusher = Pusher(folder, {f"i{n}" for n in range(200)})
    start.wait(WAIT_S)
    for n in range(PUSHES):
        event = PushedEvent("shared", f"i{n}", "ads", "click", 1000 * n + process)
        assert pusher.push([event]).added == 1


def hold(folder: Path, held: Event) -> None:
    with writing(OnlineHistories(folder)):
        held.set()
        time.sleep(WAIT_S)


def test_what_processes_add_at_once_is_all_stored(folder: Path):
    start = SPAWN.Barrier(NUM_PROCESSES)
    processes = [SPAWN.Process(target=push_some, args=(folder, n, start)) for n in range(NUM_PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(WAIT_S)
    assert [process.exitcode for process in processes] == [0] * NUM_PROCESSES
    assert len(OnlineHistories(folder).read("shared")["item_ids"]) == NUM_PROCESSES * PUSHES


def test_forget_and_push_wait_for_the_one_who_writes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(write_lock, "WAIT_SECONDS", 0.2)
    online, pusher = OnlineHistories(folder), Pusher(folder, {"i1"})
    event = PushedEvent("u3", "i1", "ads", "click", time.time_ns() // 1_000_000)
    with writing(online):
        with pytest.raises(StoreUnavailableError, match=r"Another process has been writing .* Try again"):
            pusher.push([event])
        with pytest.raises(StoreUnavailableError, match="Another process has been writing"):
            forget_features(folder, Person("u3"))
    assert pusher.push([event]).added == 1


def test_a_killed_writer_holds_nobody_up(data, tmp_path: Path):
    materialize(data, tmp_path / "features", 8)
    held = SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(tmp_path / "features", held))
    process.start()
    assert held.wait(WAIT_S)
    os.kill(process.pid, signal.SIGKILL)
    process.join(WAIT_S)
    with writing(OnlineHistories(tmp_path / "features")):
        pass


@pytest.mark.redis
def test_a_lock_of_a_dead_owner_expires_on_redis(data, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    materialize(data, tmp_path / "features", 8)
    monkeypatch.setattr(write_lock, "EXPIRY_SECONDS", 0.5)
    online = OnlineHistories(tmp_path / "features")
    lost = writing(online)
    lost.__enter__()
    with writing(online):
        assert len(redis.keys("redrec:writing:*")) == 1
    with pytest.raises(StoreUnavailableError, match="lock"):
        lost.__exit__(None, None, None)
