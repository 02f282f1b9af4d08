"""Prepare: a bad table is refused with its reason, and nothing is half-written."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.prepare import prepare
from tests.data.logs import GOOD, ITEMS, event, prepared

FOOD_KITCHEN = Path(__file__).parents[3] / "shared" / "data" / "amazon-food-kitchen"


def test_a_missing_column_is_named_with_the_columns_seen(tmp_path):
    events = pa.Table.from_pylist(GOOD).drop_columns("action").to_pylist()
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
    assert [f.what for f in quality.findings if "midnight" in f.what] == []  # the positions keep the order


def test_amazon_columns_without_positions_lose_the_order_of_a_day(tmp_path):
    rows = [{"user_id": "u", "item_id": f"i{n}", "domain": "Food", "timestamp": 1_381_536_000} for n in range(4)]
    pa_csv.write_csv(pa.Table.from_pylist(rows), tmp_path / "events.csv")
    pq.write_table(pa.Table.from_pylist(ITEMS), tmp_path / "items.parquet")
    quality = prepare(tmp_path / "events.csv", tmp_path / "items.parquet", tmp_path / "data")
    assert [(f.what, f.count) for f in quality.findings if "midnight" in f.what] == [("events are at midnight UTC", 4)]


@pytest.mark.skipif(not FOOD_KITCHEN.is_dir(), reason="the Food-Kitchen set is not next to the checkout")
def test_food_kitchen_is_read_whole(tmp_path):
    quality = prepare(FOOD_KITCHEN / "interactions.csv.gz", FOOD_KITCHEN / "items.csv.gz", tmp_path / "data")
    assert (quality.events.rows, quality.events.kept, quality.items.kept) == (173_548, 173_548, 28_095)
    assert set(quality.scenarios) == {"Food", "Kitchen"}
    assert json.loads((tmp_path / "data" / "split.json").read_text())["scenarios"] == list(quality.scenarios)
