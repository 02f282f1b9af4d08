"""Validity: what a valid id and a valid event are, and the text of each fault.

Pushed events and requests call the functions; `redrec.data.checks` builds its table expressions from the same constants
and texts, in the same order. No Ibis here: the serving image has no DuckDB.
"""

import re
from collections.abc import Collection

from redrec.data import columns as c

MAX_ID_LENGTH = 128
# Blanks, control and invisible characters, and the sign of a broken encoding. RE2, Java and Python read both classes
# alike. Letters of any script are allowed, and an id is its UTF-8 bytes: all stores, both engines and hashes see these.
INVISIBLE = "\u00ad\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffd"
NOT_IN_ID = f"[\\x00-\\x20\\x7f-\u00a0{INVISIBLE}]"
NOT_IN_WORD = "[\\x00-\\x1f\\x7f-\u009f\u2028\u2029\ufeff\ufff9-\ufffd]"  # of a scenario or an action
HALVES = "[\ud800-\udfff]"  # of a UTF-16 pair: JSON can hold one alone, a table cannot
MAX_CLOCK_DIFFERENCE_MS = 60_000  # by which the clock that wrote an event may be later than ours

NO_TIME = "timestamp is missing or not a time"
BEFORE_1970 = "timestamp is before 1970"
IN_FUTURE = "timestamp is in the future"
UNKNOWN_ITEM = "item_id is not in the item table"
ENDS_FIRST = f"{c.AVAILABLE_FROM} is after {c.AVAILABLE_UNTIL}"


def missing(name: str) -> str:
    return f"{name} is missing"


def not_printable(name: str) -> str:
    return f"{name} has blanks or control characters"


def not_printable_word(name: str) -> str:
    return f"{name} has control characters"


def too_long(name: str) -> str:
    return f"{name} is longer than {MAX_ID_LENGTH} characters"


def no_time(name: str) -> str:
    return f"{name} is not a time"


def unknown(name: str, allowed: Collection[str]) -> str:
    return f"unknown {name} (allowed: {', '.join(allowed)})"


def id_fault(name: str, value: str) -> str | None:
    """Return why `value` is no valid id, None if it is one.

    >>> id_fault("user_id", "u1"), id_fault("user_id", "u 1")
    (None, 'user_id has blanks or control characters')
    """
    if not value:
        return missing(name)
    if re.search(NOT_IN_ID, value) or re.search(HALVES, value):
        return not_printable(name)
    return too_long(name) if len(value) > MAX_ID_LENGTH else None


def word_fault(name: str, value: str, allowed: Collection[str] | None = None) -> str | None:
    """Return why `value` is no scenario or action; without `allowed`, every name that a person would give is one."""
    if not value:
        return missing(name)
    if re.search(NOT_IN_WORD, value) or re.search(HALVES, value):
        return not_printable_word(name)
    if len(value) > MAX_ID_LENGTH:
        return too_long(name)
    return unknown(name, allowed) if allowed is not None and value not in allowed else None


def time_fault(timestamp_ms: int | None, now_ms: int) -> str | None:
    if timestamp_ms is None:
        return NO_TIME
    if timestamp_ms < 0:
        return BEFORE_1970
    return IN_FUTURE if timestamp_ms > now_ms + MAX_CLOCK_DIFFERENCE_MS else None


def event_fault(
    *,
    user_id: str,
    item_id: str,
    scenario: str,
    action: str,
    timestamp_ms: int | None,
    scenarios: Collection[str],
    now_ms: int,
) -> str | None:
    """Return the first fault of an event, None if it is valid; whether the catalog has its item is not checked."""
    return (
        id_fault(c.USER_ID, user_id)
        or id_fault(c.ITEM_ID, item_id)
        or word_fault(c.SCENARIO, scenario, scenarios)
        or word_fault(c.ACTION, action)
        or time_fault(timestamp_ms, now_ms)
    )
