"""History of a query: inline, from JSON and from CSV; a mistake names its event."""

import json
from pathlib import Path

import pytest

from cli.history import read_history
from redrec.config import InputError

EVENT = {"item_id": "i1", "action": "click", "scenario": "ads", "timestamp_ms": 1_741_167_000_500}


def test_the_three_forms_give_the_same_events(tmp_path: Path):
    (tmp_path / "h.json").write_text(json.dumps([EVENT]))
    (tmp_path / "h.csv").write_text(
        "user_id,item_id,action,scenario,timestamp\nu1,i1,click,ads,2025-03-05T10:30:00.5+01:00\n"
    )
    assert read_history(json.dumps([EVENT])) == [EVENT]
    assert read_history(str(tmp_path / "h.json")) == [EVENT]
    assert read_history(str(tmp_path / "h.csv")) == [EVENT]


def test_milliseconds_in_csv_are_numbers(tmp_path: Path):
    (tmp_path / "h.csv").write_text(f"{','.join(EVENT)}\n{','.join(map(str, EVENT.values()))}\n")
    assert read_history(str(tmp_path / "h.csv")) == [EVENT]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.json", r"History nowhere\.json does not exist"),
        ("[", "--history is no JSON"),
        ("[7]", "event 1 is int; allowed is an object with item_id, action"),
        ('[{"item_id": "i1", "timestamp": 5}]', "event 1: timestamp 5 is no time such as"),
        ('[{"item_id": "i1", "timestamp_ms": 5}]', "event 1 lacks action, scenario; seen: item_id, timestamp_ms"),
    ],
)
def test_a_mistake_is_named(text: str, message: str):
    with pytest.raises(InputError, match=message):
        read_history(text)
