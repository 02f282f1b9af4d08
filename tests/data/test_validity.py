"""Validity: tables, pushed events and requests accept the same events, and refuse a fault with the same text."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pytest

from feature_repo.materialize import materialize
from feature_repo.push import PushedEvent, Pusher
from redrec.config import InputError
from redrec.data.checks import checked_events, typed_events
from redrec.data.prepare import prepare
from redrec.history import Vocabulary
from serving.requests import parse_instances
from tests.worlds import write_log

LONG = "x" * 128
ITEM_IDS = ["i1", "~", LONG, "商品😀"]
NOW_MS = time.time_ns() // 1_000_000
VOCABULARY = Vocabulary(scenarios=("shop",), actions=("buy",))
GOOD = {"user_id": "u1", "item_id": "i1", "scenario": "shop", "action": "buy", "timestamp_ms": 1_700_000_000_000}
NOT_PRINTABLE, TOO_LONG = "has blanks or control characters", "is longer than 128 characters"
ID_FAULTS = [
    ("", "is missing"),
    ("a b", NOT_PRINTABLE),
    ("a\n", NOT_PRINTABLE),
    ("\t", NOT_PRINTABLE),
    ("zażółć\u200b", NOT_PRINTABLE),
    ("首\u3000页", NOT_PRINTABLE),
    ("\ufffd", NOT_PRINTABLE),
    ("a\x7f", NOT_PRINTABLE),
    ("x" * 129, TOO_LONG),
    ("x" * 200, TOO_LONG),
]
FAULTS = [
    *[({"user_id": value}, f"user_id {text}") for value, text in ID_FAULTS],
    *[({"item_id": value}, f"item_id {text}") for value, text in ID_FAULTS],
    ({"scenario": ""}, "scenario is missing"),
    ({"scenario": "radio"}, "unknown scenario (allowed: shop)"),
    ({"scenario": "a\nb"}, "scenario has control characters"),
    ({"action": ""}, "action is missing"),
    ({"timestamp_ms": -1}, "timestamp is before 1970"),
    ({"timestamp_ms": NOW_MS + 3_600_000}, "timestamp is in the future"),
]
VALID = [
    {},
    {"user_id": LONG},
    {"item_id": LONG},
    {"user_id": "!", "item_id": "~"},
    {"user_id": "jürgen1", "item_id": "商品😀"},
    {"timestamp_ms": 0},
    {"timestamp_ms": NOW_MS + 30_000},
]


@pytest.fixture(scope="module")
def pusher(tmp_path_factory) -> Pusher:
    folder: Path = tmp_path_factory.mktemp("validity")
    prepare(
        *write_log(folder, [("u1", "i1", 1_600_000_000_000), ("u2", "i1", 1_600_000_000_001)], ITEM_IDS),
        folder / "data",
    )
    materialize(folder / "data", folder / "features")
    return Pusher(folder / "features", set(ITEM_IDS))


def reason_of_table(event: dict[str, Any]) -> str | None:
    row = {**event, "timestamp": event["timestamp_ms"]}
    del row["timestamp_ms"]
    catalog = ibis.memtable([{"item_index": n, "item_id": item_id} for n, item_id in enumerate(ITEM_IDS)])
    events = typed_events(ibis.memtable([row]), "ms")
    return checked_events(events, catalog, VOCABULARY.scenarios, datetime.now(UTC)).to_pyarrow()["reason"][0].as_py()


def reason_of_push(pusher: Pusher, event: dict[str, Any]) -> str | None:
    refused = pusher.push([PushedEvent(**event)]).refused
    return refused[0].reason if refused else None


def message_of_request(event: dict[str, Any]) -> str | None:
    """Return the whole message of a request with this user and event, None if it is accepted."""
    of_history = {name: value for name, value in event.items() if name != "user_id"}
    try:
        parse_instances([{"user_id": event["user_id"], "scenario": "shop", "history": [of_history]}], VOCABULARY)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_the_same_fault_gets_the_same_text_everywhere(pusher, fault, reason):
    event = {**GOOD, **fault}
    assert reason_of_table(event) == reason
    assert reason_of_push(pusher, event) == reason
    message = message_of_request(event)
    (name,) = fault
    assert reason in message
    assert message.startswith("instances[0]: " + ("user_id: " if name == "user_id" else "history"))
    assert name in message


@pytest.mark.parametrize("changed", VALID)
def test_a_valid_event_is_accepted_everywhere(pusher, changed):
    event = {**GOOD, **changed}
    assert reason_of_table(event) is None
    assert reason_of_push(pusher, event) is None
    assert message_of_request(event) is None


def test_an_item_outside_the_catalog_is_accepted_by_requests_alone(pusher):
    event = {**GOOD, "item_id": "nowhere"}
    assert reason_of_table(event) == reason_of_push(pusher, event) == "item_id is not in the item table"
    assert message_of_request(event) is None


def test_an_unknown_action_is_refused_by_requests_alone(pusher):
    """A table may bring new actions; a request is answered by a model that knows those of its table."""
    event = {**GOOD, "action": "stare"}
    assert reason_of_table(event) is reason_of_push(pusher, event) is None
    assert "unknown action (allowed: buy)" in message_of_request(event)


def test_a_missing_time_gets_the_same_text_in_tables_and_pushed_events(pusher):
    table = ibis.memtable([{**GOOD, "timestamp": "soon"}]).drop("timestamp_ms")
    catalog = ibis.memtable([{"item_index": 0, "item_id": "i1"}])
    checked = checked_events(typed_events(table, unit=None), catalog, None, datetime.now(UTC))
    reason = checked.to_pyarrow()["reason"][0].as_py()
    assert reason == reason_of_push(pusher, {**GOOD, "timestamp_ms": None}) == "timestamp is missing or not a time"
