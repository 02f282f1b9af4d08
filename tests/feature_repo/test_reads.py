"""Reads: the rows are those of Feast's whole response, and a file that is locked holds nobody up."""

import asyncio
import contextlib
import sqlite3
import threading
import time

from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories, OnlineHistory, rows_of
from feature_repo.reads import USERS_AT_ONCE, WAIT_MS


def test_rows_are_those_of_a_whole_response_of_feast(data, online_store, tmp_path):
    materialize(data, tmp_path / "features")
    online = OnlineHistories(tmp_path / "features")
    users = [*(f"u{number}" for number in range(2 * USERS_AT_ONCE)), "nobody"]
    of_feast = online.store.get_online_features(
        features=online.service, entity_rows=[{"user_id": user} for user in users], full_feature_names=True
    )
    rows = rows_of(of_feast.to_dict(), online.views)
    assert online.read_many(users) == [online._history(of_user) for of_user in zip(*rows, strict=True)]
    assert online.read_many(users)[-1] is None
    assert online.read_at_once(users) == (online.read_many(users) if online_store == "sqlite" else None)
    assert awaited(online, users) == (None if online_store == "sqlite" else online.read_many(users))
    assert awaited(online, users[:1]) == (None if online_store == "sqlite" else online.read_many(users[:1]))


def awaited(online: OnlineHistories, users: list[str]) -> list[OnlineHistory | None] | None:
    async def read() -> list[OnlineHistory | None] | None:
        try:
            return await online.read_awaited(users)
        finally:
            await online.close()

    return asyncio.run(read())


def test_a_file_that_is_locked_is_not_read_at_once_and_is_again_when_it_is_free(data, tmp_path):
    materialize(data, tmp_path / "features")
    online = OnlineHistories(tmp_path / "features")
    file = tmp_path / "features" / "online.db"
    with contextlib.closing(sqlite3.connect(file, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        begin = time.monotonic()
        assert online.read_at_once(["u1"]) is None
        assert time.monotonic() - begin < WAIT_MS / 2000
        timer = threading.Timer(0.2, writer.rollback)
        timer.start()
        assert online.read_many(["u1"]) == online.read_at_once(["u1"]) != [None]  # this one waits
