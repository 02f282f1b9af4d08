"""Inputs: columns of other names, constants, ids that became numbers with a fraction, and what is said about them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.prepare import DataConfig, prepare
from redrec.data.quality import BadRowsError, DataQuality

ITEMS = pa.table({"item_id": ["1001", "1002"], "title": ["Tea", "Cup"]})
CONSTANTS = {"scenario": "web", "action": "view"}
COLUMNS = {"user": "user_id", "product": "item_id", "ts": "timestamp"}
THEIRS = pa.table(
    {"user": ["u1", "ü2"], "product": ["1001", "1002"], "ts": [1_700_000_000, 1_700_000_001], "x": [1, 2]}
)


def prepared(folder: Path, events: object, items: object = ITEMS, **config: object) -> DataQuality:
    return prepare(events, items, folder / "data", DataConfig(**config))


def rows(folder: Path) -> list[tuple[object, ...]]:
    events = pq.read_table(folder / "data" / "events.parquet").to_pylist()
    return [tuple(row.values())[:4] for row in events]


def ours(**columns: object) -> pa.Table:
    """Return two events in the columns of the contract, with some changed."""
    good = {"user_id": ["u1", "u2"], "item_id": ["1001", "1002"], "timestamp": [1_700_000_000, 1_700_000_001]}
    return pa.table(good | {name: ["a", "a"] for name in ("scenario", "action")} | columns)


def test_columns_of_other_names_and_constants_are_read(tmp_path):
    quality = prepared(tmp_path, THEIRS, columns=COLUMNS, constants=CONSTANTS)
    assert rows(tmp_path) == [("u1", "1001", "web", "view"), ("ü2", "1002", "web", "view")]
    assert (quality.events.used, quality.events.ignored) == (("user", "product", "ts"), ("x",))
    assert "user_id is the column user" in quality.events.notices
    assert "scenario is 'web' in all rows" in quality.events.notices


def test_a_mapped_column_replaces_one_of_the_same_name(tmp_path):
    events = ours(timestamp=["soon", "later"]).append_column("ts", pa.array([1_700_000_000, 1_700_000_001]))
    quality = prepared(tmp_path, events, columns={"ts": "timestamp"})
    assert "timestamp" in quality.events.ignored


def test_a_constant_replaces_that_of_a_known_schema(tmp_path):
    films = pa.table({"userId": [7], "movieId": [1001], "rating": [4.5], "timestamp": [1_700_000_000]})
    prepared(tmp_path, films, constants={"scenario": "films"})
    assert rows(tmp_path) == [("7", "1001", "films", "rating")]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"column user_id, item_id, scenario, action, timestamp is missing; seen: user, product, ts, x\..*--map"),
        ({}, "--set scenario=NAME,action=NAME"),
        ({"columns": COLUMNS, "constants": {"action": "view"}}, r"column scenario is missing.*--set scenario=NAME\."),
        ({"columns": COLUMNS | {"nosuch": "title"}, "constants": CONSTANTS}, "--map renames nosuch, and no table has"),
        ({"columns": {"user": "user_id", "x": "user_id"}}, "--map makes user and x both user_id. Choose one"),
        ({"columns": COLUMNS | {"x": "action"}, "constants": CONSTANTS}, "the table has a column action. Leave it out"),
    ],
)
def test_missing_and_doubled_columns_are_named_with_the_option_that_helps(tmp_path, config, message):
    with pytest.raises(InputError, match=message):
        prepared(tmp_path, THEIRS, **config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"columns": {"ts": "time"}}, "ts=time: time is none of our columns, which are user_id, item_id"),
        ({"constants": {"title": "x"}}, "title cannot be constant; allowed are scenario, action"),
    ],
)
def test_choices_that_redrec_does_not_know_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**config)


FLOATS, TEXTS, NUMBERS = [1001.0, 1002.0], ["1001.0", "1002.0"], [1001, 1002]


@pytest.mark.parametrize(("of_events", "of_items"), [(FLOATS, NUMBERS), (TEXTS, FLOATS), (NUMBERS, TEXTS)])
def test_ids_that_became_floats_are_whole_again_in_both_tables(tmp_path, of_events, of_items):
    items = pa.table({"item_id": pa.array(of_items), "title": ["Tea", "Cup"]})
    quality = prepared(tmp_path, ours(item_id=pa.array(of_events)), items)
    assert [row[1] for row in rows(tmp_path)] == ["1001", "1002"]
    notice = "item_id came as numbers with a fraction, such as 1001.0; they are read as 1001"
    for ids, table in ((of_events, quality.events), (of_items, quality.items)):
        assert (notice in table.notices) == (str(ids[0]) == "1001.0")


def test_a_missing_id_among_floats_is_still_missing(tmp_path):
    events = pa.concat_tables([ours(user_id=[7.0, float("nan")]), ours(user_id=[None, 8.0])])
    quality = prepared(tmp_path, events, max_quarantined_share=0.5)
    assert [row[0] for row in rows(tmp_path)] == ["7", "8"]
    assert quality.events.quarantined == {"user_id is missing": 2}


def test_other_texts_with_a_fraction_stay(tmp_path):
    events = ours(user_id=["1.0", "1.1"])
    assert prepared(tmp_path, events).events.notices == ()
    assert [row[0] for row in rows(tmp_path)] == ["1.0", "1.1"]


def test_floats_that_lost_digits_are_refused(tmp_path):
    with pytest.raises(InputError, match="user_id holds floats such as 18014398509481984, which have lost digits"):
        prepared(tmp_path, ours(user_id=[float(2**54), 7.0]))


def test_unknown_items_are_shown_beside_ids_that_are_known(tmp_path):
    with pytest.raises(BadRowsError, match=r"item_id=B1.*item_id in the item table is such as 1001, 1002"):
        prepared(tmp_path, ours(item_id=["B1", "1002"]))


def test_a_column_scenario_of_the_items_is_pointed_out(tmp_path):
    items = ITEMS.append_column("scenario", pa.array(["a", "a"]))
    quality = prepared(tmp_path, ours(), items)
    assert quality.items.ignored == ("scenario",)
    assert "if scenario says where an item may be shown: --map scenario=scenarios" in quality.items.notices
    assert prepared(tmp_path, ours(), items, columns={"scenario": "scenarios"}).items.ignored == ()
