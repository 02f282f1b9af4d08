"""Items' statistics per scenario: counted over windows, kept in Feast beside the histories."""

from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
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
    found = {row["item_id"]: row for row in item_statistics(events, "ads", NEWEST).to_pyarrow().to_pylist()}
    of_item = {"event_timestamp": NEWEST, "item_id": "i1"}
    assert found["i1"] == {
        **of_item,
        "events_1d": 2, "users_1d": 1,
        "events_7d": 3, "users_7d": 2,
        "events_28d": 4, "users_28d": 2,
        "events_112d": 4, "users_112d": 2,
    }  # fmt: skip
    assert found["i2"].pop("events_112d") == found["i2"].pop("users_112d") == 1
    assert {value for name, value in found["i2"].items() if name[-1] == "d" and name != "item_id"} == {0}


def test_a_ranker_reads_them_by_their_service(data, online_store, tmp_path):
    materialize(data, tmp_path / "features")
    store = OnlineHistories(tmp_path / "features").store
    rows = [row for row in pq.read_table(data / "events.parquet").to_pylist() if row["item_id"] == "i7"]
    service = store.get_feature_service("item_statistics")
    read = store.get_online_features(service, [{"item_id": "i7"}], full_feature_names=True).to_dict()
    for scenario in ("homefeed", "search"):
        users = [row["user_id"] for row in rows if row["scenario"] == scenario]
        assert read[f"items_{scenario}__events_28d"] == [len(users)]
        assert read[f"items_{scenario}__users_28d"] == [len(set(users))]
