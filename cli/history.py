"""History: the events of a query, inline or from a file, in the form of a request."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redrec.config import InputError

FIELDS = ("item_id", "action", "scenario", "timestamp_ms")


def read_history(text: str) -> list[dict[str, Any]]:
    """Return the events in a JSON text, or in a JSON or CSV file; other columns are left out.

    The server checks them. A `timestamp` is an ISO time, UTC if it names no zone.

    >>> read_history('[{"item_id": "i1", "action": "view", "scenario": "ads", "timestamp": "2026-01-01 00:00:01"}]')
    [{'item_id': 'i1', 'action': 'view', 'scenario': 'ads', 'timestamp_ms': 1767225601000}]
    """
    if text.lstrip().startswith("["):
        return _events(_json(text, "--history"), "--history")
    path = Path(text)
    if not path.is_file():
        raise InputError(f"History {text} does not exist. Give a JSON or CSV file, or a JSON list of events.")
    content = path.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(content.splitlines())) if path.suffix == ".csv" else _json(content, text)
    return _events(rows, text)


def _json(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{name} is no JSON: {error}. Give a JSON list of events, or a file named *.csv.") from error


def _events(rows: object, name: str) -> list[dict[str, Any]]:
    if not isinstance(rows, list):
        raise InputError(f"{name} holds {type(rows).__name__}; allowed is a list of events.")
    return [_event(row, f"{name}, event {number}") for number, row in enumerate(rows, start=1)]


def _event(row: object, name: str) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise InputError(f"{name} is {type(row).__name__}; allowed is an object with {', '.join(FIELDS)}.")
    event = dict(row)
    if "timestamp" in event:
        event["timestamp_ms"] = _milliseconds(event["timestamp"], name)
    missing = [field for field in FIELDS if event.get(field) in (None, "")]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing)}; seen: {', '.join(map(str, row)) or 'nothing'}.")
    if str(event["timestamp_ms"]).isdigit():  # a CSV file has texts
        event["timestamp_ms"] = int(event["timestamp_ms"])
    return {field: event[field] for field in FIELDS}


def _milliseconds(text: object, name: str) -> int:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise InputError(
            f"{name}: timestamp {text!r} is no time such as 2026-01-31 12:00:00. Give one, or timestamp_ms."
        ) from error
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
