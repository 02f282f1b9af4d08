"""Statistics: events and users of each item in a scenario are counted over windows."""

from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from redrec.data.statistics import item_statistics

NEWEST = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def events():
    rows = [
        ("u1", "i1", "ads", NEWEST),
        ("u1", "i1", "ads", NEWEST - timedelta(days=1)),  # the end of a window is inside
        ("u2", "i1", "ads", NEWEST - timedelta(days=1, milliseconds=1)),
        ("u2", "i1", "ads", NEWEST - timedelta(days=20)),
        ("u3", "i1", "homefeed", NEWEST),
        ("u3", "i2", "ads", NEWEST - timedelta(days=40)),
    ]
    columns = dict(zip(("user_id", "item_id", "scenario", "timestamp"), zip(*rows, strict=True), strict=True))
    return ibis.memtable(pa.table({**columns, "action": ["click"] * len(rows)}))


def test_events_and_users_are_counted_per_window(events):
    counts = {row["item_id"]: row for row in item_statistics(events, "ads", NEWEST).to_pyarrow().to_pylist()}
    of_item = {"event_timestamp": NEWEST, "item_id": "i1"}
    assert counts["i1"] == {
        **of_item,
        "events_1d": 1, "users_1d": 1,  # the other is a whole day old
        "events_7d": 3, "users_7d": 2,
        "events_28d": 4, "users_28d": 2,
        "events_112d": 4, "users_112d": 2,
    }  # fmt: skip
    assert counts["i2"].pop("events_112d") == counts["i2"].pop("users_112d") == 1
    assert {value for name, value in counts["i2"].items() if name[-1] == "d" and name != "item_id"} == {0}
