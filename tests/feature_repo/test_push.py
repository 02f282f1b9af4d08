"""Push: the next read has the new events, once and sorted by time; bad events are refused, the others kept."""

import asyncio
import time

import pyarrow.parquet as pq
import pytest

from feature_repo.event_table import events_of
from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
from feature_repo.push import PushedEvent, Pusher
from feature_repo.store import StoreUnavailableError

MAX_EVENTS = 8


@pytest.fixture
def folder(data, online_store, tmp_path):
    materialize(data, tmp_path / "features", MAX_EVENTS)
    return tmp_path / "features"


@pytest.fixture(scope="module")
def item_ids(data):
    return sorted(pq.read_table(data / "events.parquet")["item_id"].unique().to_pylist())


@pytest.fixture
def pusher(folder, item_ids):
    return Pusher(folder, set(item_ids))


def of(history, scenario="ads"):
    """Return one scenario's (time, item, action), in the order of the store."""
    columns = (history[name] for name in ("timestamps_ms", "item_ids", "actions", "scenarios"))
    return [row[:3] for row in zip(*columns, strict=True) if row[3] == scenario]


def click(item_id: str, timestamp_ms: int, **changed: object) -> PushedEvent:
    return PushedEvent("u3", item_id, "ads", "click", timestamp_ms)._replace(**changed)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_pushed_event_is_the_newest_of_the_next_read_by_anybody(pusher, folder, item_ids):
    other = OnlineHistories(folder)
    before = other.read("u3")
    event = click(item_ids[0], now_ms())

    assert pusher.push([event])[:3] == (1, 0, 0)
    after = other.read("u3")
    assert of(after) == [*of(before), (event.timestamp_ms, event.item_id, "click")][-MAX_EVENTS:]
    assert of(after, "homefeed") == of(before, "homefeed")


def test_an_unknown_user_gets_a_history(pusher, item_ids):
    pusher.push([click(item_ids[0], 5, user_id="new")])
    assert of(pusher.histories.read("new")) == [(5, item_ids[0], "click")]


def test_a_late_event_is_inserted_by_its_time(pusher, item_ids):
    first, last = of(pusher.histories.read("u3"))[0][0], now_ms()
    pusher.push([click(item_ids[0], last)])
    pusher.push([click(item_ids[1], last - 1000), click(item_ids[2], first - 1)])
    times = [row[0] for row in of(pusher.histories.read("u3"))]
    assert times == sorted(times)
    assert times[-2:] == [last - 1000, last]


def test_only_the_newest_are_kept_in_any_order_of_arrival(pusher, item_ids):
    times = [now_ms() - 1000 * n for n in range(20)]
    counts = [pusher.push([click(item_ids[n], t)])[:3] for n, t in enumerate(times)]
    assert [row[0] for row in of(pusher.histories.read("u3"))] == sorted(times[:MAX_EVENTS])
    assert counts == [(1, 0, 0)] * MAX_EVENTS + [(0, 0, 1)] * (20 - MAX_EVENTS)


def test_the_same_event_twice_is_known(pusher, item_ids):
    event = click(item_ids[0], now_ms())
    pusher.push([event, event])
    before = pusher.histories.read("u3")
    assert pusher.push([event])[:3] == (0, 1, 0)
    assert pusher.histories.read("u3") == before


def test_bad_events_are_refused_with_their_reason_and_the_others_kept(pusher, item_ids):
    good = click(item_ids[0], now_ms())
    bad = {
        good._replace(user_id="u 3"): "user_id has blanks",
        good._replace(scenario="shop"): "unknown scenario (allowed: homefeed, search, ads)",
        good._replace(action=""): "action is missing",
        good._replace(timestamp_ms=now_ms() + 120_000): "timestamp is in the future",
        good._replace(timestamp_ms=-1): "timestamp is before 1970",
        good._replace(item_id="nowhere"): "item_id is not in the item table",
    }
    pushed = pusher.push([*bad, good])
    assert pushed.added == 1
    assert [refused.event for refused in pushed.refused] == list(bad)
    assert all(reason in refused.reason for refused, reason in zip(pushed.refused, bad.values(), strict=True))
    assert (good.timestamp_ms, good.item_id, "click") in of(pusher.histories.read("u3"))


def test_many_users_in_one_push(pusher, item_ids):
    at = now_ms()
    pushed = pusher.push([click(item_ids[n % 9], at, user_id=f"u{n}") for n in range(60)])
    assert pushed.added == 60
    assert all(of(pusher.histories.read(f"u{n}"))[-1][:2] == (at, item_ids[n % 9]) for n in range(60))


def test_a_table_of_events_is_pushed_without_its_bad_rows(pusher, item_ids, tmp_path):
    rows = f"u3,{item_ids[0]},ads,click,2026-02-01T00:00:00.5+01:00\nu3,,ads,click,2026-02-01\n,{item_ids[0]},ads,click,soon\n"
    (tmp_path / "new.csv").write_text(f"user_id,item_id,scenario,action,timestamp\n{rows}")
    (block,) = events_of(tmp_path / "new.csv")
    pushed = pusher.push(block)
    assert (pushed.added, [one.event.user_id for one in pushed.refused]) == (1, ["u3", ""])
    assert of(pusher.histories.read("u3"))[-1] == (1_769_900_400_500, item_ids[0], "click")


def test_after_the_folder_was_replaced_reads_and_pushes_are_of_the_new_one(data, folder, item_ids, pusher):
    reader = OnlineHistories(folder)
    assert reader.current() is reader
    materialize(data, folder, MAX_EVENTS)
    event = click(item_ids[0], now_ms())
    assert pusher.push([event]).added == 1
    assert reader.read_at_once(["u3"]) is asyncio.run(reader.read_awaited(["u3"])) is None
    new = reader.current()
    assert new is not reader and new.current() is new
    for histories in (new, OnlineHistories(folder)):
        assert of(histories.read("u3"))[-1] == (event.timestamp_ms, event.item_id, "click")


def test_a_folder_with_other_definitions_or_a_broken_one_is_not_read(data, folder, tmp_path):
    reader = OnlineHistories(folder)
    (folder / "registry.db").rename(tmp_path / "registry.db")
    (folder / "feature_store.yaml").touch()
    with pytest.raises(StoreUnavailableError, match=r"has no .*registry\.db"):
        reader.current()
    (tmp_path / "registry.db").rename(folder / "registry.db")
    reader.feature_hash = "another"
    with pytest.raises(StoreUnavailableError, match="was replaced by one with the definitions .* another is needed"):
        reader.current()
