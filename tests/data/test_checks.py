"""Checks: each bad row gets its reason, and times, lists and ids of a text table keep their values."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.prepare import DataConfig, prepare
from redrec.data.quality import DataQuality
from tests.data.logs import GOOD, ITEMS, LENIENT, at, event, prepared


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


def prepared_items(folder: Path, *windows: tuple[object, object], config: DataConfig = LENIENT) -> DataQuality:
    """Write the data folder `folder/data` of items with these times from and until, and others without."""
    names = ("available_from", "available_until")
    given = [dict(zip(names, window, strict=True)) for window in windows]
    rows = [item | window for item, window in zip(ITEMS, [*given, *[{}] * len(ITEMS)], strict=False)]
    pq.write_table(pa.Table.from_pylist(GOOD), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows]), folder / "items.parquet")
    return prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", config)


def windows_in(data: Path) -> list[tuple[object, object]]:
    items = pq.read_table(data / "items.parquet")
    return list(zip(items["available_from"].to_pylist(), items["available_until"].to_pylist(), strict=True))


def test_an_item_keeps_its_availability_window_and_either_end_may_be_empty(tmp_path):
    quality = prepared_items(tmp_path, ("2024-01-01", ""), ("", "2024-01-02T01:00:00+01:00"), (" ", None))
    assert not quality.items.quarantined
    assert quality.items.notices == tuple(
        f"{name}: texts of times (UTC where they have no zone)" for name in ("available_from", "available_until")
    )
    assert windows_in(tmp_path / "data") == [(at(1), None), (None, at(2)), (None, None), (None, None)]


def test_a_window_in_numbers_has_the_unit_of_its_column(tmp_path):
    prepared_items(tmp_path, (1704067200, 1704153600000), (None, 1704067200000))
    assert windows_in(tmp_path / "data")[:2] == [(at(1), at(2)), (None, at(1))]


def test_without_the_columns_an_item_is_always_available(tmp_path):
    prepared(tmp_path, GOOD)
    assert set(windows_in(tmp_path / "data")) == {(None, None)}


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (("2024-01-03", "2024-01-02"), "available_from is after available_until"),
        (("soon", "2024-01-02"), "available_from is not a time"),
        (("2024-01-03", "the year 290000"), "available_until is not a time"),
    ],
)
def test_a_bad_window_is_quarantined_with_its_item_and_times(tmp_path, window, reason):
    quality = prepared_items(tmp_path, window, ("2024-01-01", "2024-01-01"))
    assert quality.items.quarantined == {reason: 1}
    row = f"item_id=i0, title=title 0, available_from={window[0]}, available_until={window[1]}"
    assert quality.items.examples == {reason: (row,)}
    with pytest.raises(InputError, match=f"items: 1 of 4 rows are bad.*{reason} .such as: item_id=i0"):
        prepared_items(tmp_path, window, ("2024-01-01", "2024-01-01"), config=DataConfig())


def test_windows_that_are_no_times_are_refused_by_the_columns_name(tmp_path):
    with pytest.raises(InputError, match="items: no available_until is a time; they are such as '31.01.2024'"):
        prepared_items(tmp_path, (None, "31.01.2024"))
