"""The contract of the tables: each kind of bad input gets its reason, and nothing is half-written."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.prepare import DataConfig, DataQuality, prepare

FOOD_KITCHEN = Path(__file__).parents[3] / "shared" / "data" / "amazon-food-kitchen"
LENIENT = DataConfig(max_quarantined_share=0.9)
ITEMS = [{"item_id": f"i{n}", "title": f"title {n}"} for n in range(4)]


def event(**changed: object) -> dict[str, object]:
    good = {"user_id": "u1", "item_id": "i1", "scenario": "ads", "action": "click", "timestamp": at(1)}
    return good | changed


def at(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


GOOD = [event(user_id=f"u{u}", item_id=f"i{n}", timestamp=at(1 + n)) for u in range(3) for n in range(4)]


def prepared(folder: Path, events: list[dict[str, object]], config: DataConfig = LENIENT) -> DataQuality:
    pq.write_table(pa.Table.from_pylist(events), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(ITEMS), folder / "items.parquet")
    return prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", config)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (event(user_id=None), "user_id is missing"),
        (event(user_id="zażółć"), "user_id is not printable ASCII without blanks"),
        (event(item_id="i 1"), "item_id is not printable ASCII without blanks"),
        (event(user_id="u" * 129), "user_id is longer than 128 characters"),
        (event(scenario=""), "scenario is missing"),
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


def test_a_configured_scenario_without_events_is_refused(tmp_path):
    with pytest.raises(InputError, match="scenario search is configured and has no events; seen: ads"):
        prepared(tmp_path, GOOD, DataConfig(scenarios=("ads", "search")))
    assert not (tmp_path / "data").exists()


def test_too_many_bad_rows_are_refused_with_an_example(tmp_path):
    with pytest.raises(InputError, match=r"4 of 16 rows are bad.*item_id is not in the item table.*item_id=nowhere"):
        prepared(tmp_path, [*GOOD, *[event(item_id="nowhere", timestamp=at(d + 1)) for d in range(4)]], DataConfig())
    assert [path.name for path in tmp_path.iterdir() if "data" in path.name] == []


def test_a_missing_column_is_named_beside_those_seen(tmp_path):
    events = [{key: value for key, value in row.items() if key != "action"} for row in GOOD]
    with pytest.raises(InputError, match="events: column action is missing; seen: user_id, item_id"):
        prepared(tmp_path, events)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.csv", b"", "has 0 bytes"),
        ("events.xlsx", b"x", "is of no known type"),
        ("events.parquet", b"not parquet at all", "cannot be read"),
        ("events.csv", b"user_id,item_id,scenario,action,timestamp\n", "no rows"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    pq.write_table(pa.Table.from_pylist(ITEMS), tmp_path / "items.parquet")
    with pytest.raises(InputError, match=message):
        prepare(tmp_path / name, tmp_path / "items.parquet", tmp_path / "data")


def test_a_column_of_the_wrong_type_is_quarantined_not_crashed_on(tmp_path):
    quality = prepared(
        tmp_path, [row | {"timestamp": str(row["timestamp"])} for row in GOOD] + [event(timestamp="soon")]
    )
    assert quality.events.quarantined == {"timestamp is missing or not a time": 1}


def test_a_user_with_one_event_is_kept_and_counted(tmp_path):
    quality = prepared(tmp_path, [*GOOD, event(user_id="once")])
    assert (quality.events.quarantined, quality.users_with_one_event) == ({}, 1)


def test_an_earlier_data_folder_survives_a_refused_run(tmp_path):
    prepared(tmp_path, GOOD)
    before = (tmp_path / "data" / "data_quality.json").read_bytes()
    with pytest.raises(InputError):
        prepared(tmp_path, [event(item_id="nowhere")])
    assert (tmp_path / "data" / "data_quality.json").read_bytes() == before


def test_amazon_columns_are_mapped_and_keep_the_order_of_a_day(tmp_path):
    day = 1_381_536_000
    rows = [
        {"user_id": "u", "item_id": f"i{n}", "domain": "Food", "position": 9 - n, "timestamp": day} for n in range(4)
    ]
    pa_csv.write_csv(pa.Table.from_pylist(rows), tmp_path / "events.csv")
    items = [item | {"domain": "Food"} for item in ITEMS]
    pa_csv.write_csv(pa.Table.from_pylist(items), tmp_path / "items.csv")

    quality = prepare(tmp_path / "events.csv", tmp_path / "items.csv", tmp_path / "data")

    assert quality.events.mapping == "amazon-reviews"
    events = pq.read_table(tmp_path / "data" / "events.parquet").to_pylist()
    assert [row["item_id"] for row in events] == ["i3", "i2", "i1", "i0"]
    assert {row["scenario"] for row in events} == {"Food"}


@pytest.mark.skipif(not FOOD_KITCHEN.is_dir(), reason="the Food-Kitchen set is not beside the checkout")
def test_food_kitchen_is_read_whole(tmp_path):
    quality = prepare(FOOD_KITCHEN / "interactions.csv.gz", FOOD_KITCHEN / "items.csv.gz", tmp_path / "data")
    assert (quality.events.rows, quality.events.kept, quality.items.kept) == (173_548, 173_548, 28_095)
    assert set(quality.scenarios) == {"Food", "Kitchen"}
    assert json.loads((tmp_path / "data" / "split.json").read_text())["scenarios"] == list(quality.scenarios)


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
    plate, untold = pq.read_table(tmp_path / "data" / "items.parquet").to_pylist()
    assert (event["user_id"], event["item_id"], event["timestamp"].microsecond) == ("007", "1e5", 123_000)
    assert event["timestamp"].replace(microsecond=0) == at(1)
    assert (plate["title"], plate["tags"], plate["scenarios"]) == ('9" plate', ["a b", "c"], ["ads", "feed"])
    assert (untold["tags"], untold["scenarios"]) == ([], ["ads"])
