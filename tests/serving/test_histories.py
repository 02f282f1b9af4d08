"""Histories at request time: the feature store must be the bundle's own, and both sources give the same columns."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from feature_repo.forget import forget_features
from feature_repo.materialize import materialize
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.person import Person
from redrec.folders import RunFolder
from serving.histories import SLOW_S, THREAD_S, Columns, HistoryReader, encode_columns, event_columns
from serving.requests import Event
from serving.shedding import Waiting
from serving.workers import MAX_ON_LOOP
from tests.bundles import tiny_run


def test_features_with_other_definitions_are_refused(bundle: Bundle, tmp_path: Path):
    own = tiny_run(tmp_path)
    histories = HistoryReader(RunFolder(tmp_path).features)
    histories.check(own)
    with pytest.raises(InputError, match=f"definitions {bundle.manifest.feature_hash}, .*Give the feature folder"):
        histories.check(bundle)
    asyncio.run(histories.close())


def test_a_user_who_was_forgotten_after_another_run_is_unknown_to_a_reader_of_before(tmp_path: Path):
    tiny_run(tmp_path)
    features = RunFolder(tmp_path).features
    histories = HistoryReader(features)
    users = ["user-7", "user-6"]
    assert None not in histories.thread.submit(histories.read_many, users).result()
    materialize(tmp_path / "data", features)
    forget_features(features, Person("user-7"))
    forgotten, other = histories.thread.submit(histories.read_many, users).result()
    assert forgotten is None and other is not None
    asyncio.run(histories.close())


def test_inline_events_become_a_history_without_unknown_items(bundle: Bundle):
    event = Event(item_id=bundle.item_ids[3], action="click", scenario="ads", timestamp_ms=7)
    columns = event_columns([event, event.model_copy(update={"item_id": "not-in-this-catalog"})])
    assert columns["item_ids"] == [bundle.item_ids[3], "not-in-this-catalog"]
    assert encode_columns(columns, bundle).item_L.tolist() == [3]


class Source:
    """A history source that says which users it was asked for, and by which way, of those that it has."""

    def __init__(self, *ways: str) -> None:
        self.ways = ways
        self.reads: list[tuple[str, str]] = []

    def current(self) -> "Source":
        return self

    def read_many(self, user_ids: Sequence[str]) -> list[Columns | None]:
        return self._read("on the thread", user_ids)

    def read_at_once(self, user_ids: Sequence[str]) -> list[Columns | None] | None:
        return self._read("at once", user_ids) if "at once" in self.ways else None

    async def read_awaited(self, user_ids: Sequence[str]) -> list[Columns | None] | None:
        return self._read("awaited", user_ids) if "awaited" in self.ways else None

    async def close(self) -> None: ...

    def _read(self, way: str, user_ids: Sequence[str]) -> list[Columns | None]:
        self.reads += [(way, user_id) for user_id in user_ids]
        return [None] * len(user_ids)


def reader_of(source: Source, clock: Callable[[], float] = time.monotonic) -> HistoryReader:
    reader = HistoryReader(None, clock)
    reader.source = source
    return reader


@pytest.mark.parametrize(
    ("ways", "of_few", "of_many"),
    [
        (("awaited", "at once"), "awaited", "awaited"),
        (("at once",), "at once", "on the thread"),
        ((), "on the thread", "on the thread"),
    ],
)
def test_users_are_read_by_the_event_loop_where_that_is_quick(ways: tuple[str, ...], of_few: str, of_many: str):
    source = Source(*ways)
    reader = reader_of(source)
    assert asyncio.run(reader.read(["a", "b"], Waiting())) == [None, None]
    assert source.reads == [(of_few, "a"), (of_few, "b")]
    many = [f"user {number}" for number in range(MAX_ON_LOOP + 1)]
    assert asyncio.run(reader.read(many, Waiting())) == [None] * len(many)
    assert source.reads[2:] == [(of_many, user) for user in many]
    asyncio.run(reader.close())


def test_a_user_is_not_read_at_once_while_the_thread_reads_even_if_nobody_waits_for_it_any_more():
    source = Source("at once")
    reader, may_end = reader_of(source), threading.Event()
    source.current = lambda: may_end.wait() and source  # type: ignore[method-assign, return-value]

    async def after_a_read_without_an_end() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await reader.read([""] * (MAX_ON_LOOP + 1), Waiting())
        read = asyncio.create_task(reader.read(["a"], Waiting()))
        await asyncio.sleep(0.01)
        assert source.reads == []
        may_end.set()
        await read

    asyncio.run(after_a_read_without_an_end())
    assert source.reads[-1] == ("on the thread", "a")
    asyncio.run(reader.close())


def test_a_slow_disk_gives_the_thread_the_reads_that_follow_for_a_while(caplog):
    times, source = iter([0.0, 0.0, 1.5 * SLOW_S, 5.0, 2 * THREAD_S, 2 * THREAD_S, 2 * THREAD_S]), Source("at once")
    reader = reader_of(source, lambda: next(times))
    for user in "abc":
        asyncio.run(reader.read([user], Waiting()))
    assert source.reads == [("at once", "a"), ("on the thread", "b"), ("at once", "c")]
    assert "A read of histories took 30 ms" in caplog.text
    asyncio.run(reader.close())
