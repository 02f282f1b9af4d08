"""Checks: each bad row gets its reason, and times, lists and ids of a text table keep their values."""

from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from redrec.data.prepare import DataConfig, prepare
from tests.data.logs import GOOD, at, event, prepared


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (event(user_id=None), "user_id is missing"),
        (event(user_id="zażółć\u200b"), "user_id has blanks or control characters"),
        (event(item_id="i 1"), "item_id has blanks or control characters"),
        (event(user_id="u" * 129), "user_id is longer than 128 characters"),
        (event(scenario=""), "scenario is missing"),
        (event(scenario="a\nb"), "scenario has control characters"),
        (event(scenario="a" * 129), "scenario is longer than 128 characters"),
        (event(action=None), "action is missing"),
        (event(timestamp=None), "timestamp is missing or not a time"),
        (event(timestamp=datetime.now(UTC) + timedelta(days=2)), "timestamp is in the future"),
        (event(item_id="nowhere"), "item_id is not in the item table"),
        (GOOD[0], "duplicate of another row"),
    ],
)
def test_a_bad_event_is_quarantined_with_its_reason(tmp_path, bad, reason):
    quality = prepared(tmp_path, [*GOOD, bad])

    assert quality.events.quarantined == {reason: 1}
    assert quality.events.kept == len(GOOD)
    rows = pq.read_table(tmp_path / "data" / "quarantine.parquet").to_pylist()
    assert [(row["table"], row["reason"]) for row in rows] == [("events", reason)]


def test_an_event_of_a_scenario_that_is_not_configured_is_quarantined(tmp_path):
    config = DataConfig(scenarios=("ads",), max_quarantined_share=0.9)
    quality = prepared(tmp_path, [*GOOD, event(scenario="adz")], config)
    assert quality.events.quarantined == {"unknown scenario (allowed: ads)": 1}


def test_a_column_of_the_wrong_type_is_quarantined_not_crashed_on(tmp_path):
    quality = prepared(
        tmp_path, [row | {"timestamp": str(row["timestamp"])} for row in GOOD] + [event(timestamp="soon")]
    )
    assert quality.events.quarantined == {"timestamp is missing or not a time": 1}


@pytest.mark.parametrize(
    "time", ["1704067200123", "2024-01-01 00:00:00.123", "2024-01-01T00:00:00.123Z", "2024-01-01 02:00:00.123+02:00"]
)
def test_a_csv_table_keeps_its_ids_and_reads_times_and_lists(tmp_path, time):
    (tmp_path / "events.csv").write_text(f"user_id,item_id,scenario,action,timestamp\n007,1e5,ads,click,{time}\n")
    (tmp_path / "items.csv").write_text(
        """item_id,title,tags,scenarios\n1e5,"9"" plate","['a b', c]","ads, feed"\n2,,[],\n"""
    )
    prepare(tmp_path / "events.csv", tmp_path / "items.csv", tmp_path / "data")
    event = pq.read_table(tmp_path / "data" / "events.parquet").to_pylist()[0]
    plate, untagged = pq.read_table(tmp_path / "data" / "items.parquet").to_pylist()
    assert (event["user_id"], event["item_id"], event["timestamp"].microsecond) == ("007", "1e5", 123_000)
    assert event["timestamp"].replace(microsecond=0) == at(1)
    assert (plate["title"], plate["tags"], plate["scenarios"]) == ('9" plate', ["a b", "c"], ["ads", "feed"])
    assert (untagged["tags"], untagged["scenarios"]) == ([], ["ads"])


def test_texts_with_bars_or_commas_are_lists(tmp_path):
    items = 'item_id,title,tags,scenarios\ni0,a,x|y z,ads|feed\ni1,b,"x, y","[ads, \'feed\']"\n'
    (tmp_path / "items.csv").write_text(items)
    rows = "".join(f"u,i{n},{name},click,170000000{n}\n" for n, name in enumerate(["ads", "feed"]))
    (tmp_path / "events.csv").write_text(f"user_id,item_id,scenario,action,timestamp\n{rows}")
    prepare(tmp_path / "events.csv", tmp_path / "items.csv", tmp_path / "data")
    items = pq.read_table(tmp_path / "data" / "items.parquet").to_pylist()
    assert [item["tags"] for item in items] == [["x", "y z"], ["x", "y"]]
    assert [item["scenarios"] for item in items] == [["ads", "feed"]] * 2
