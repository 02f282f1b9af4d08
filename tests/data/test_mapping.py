"""Mapping: tables of known schemas get the contract's columns, recognised by their columns alone."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data.prepare import prepare

AT = datetime(2024, 1, 1, tzinfo=UTC)
SECONDS = int(AT.timestamp())
NOTE = {"note_id": "n1", "timestamp": SECONDS, "is_like": 0, "is_collect": 1}
SHARED_NOTE = {"note_id": "n2", "timestamp": SECONDS + 1, "is_like": 0, "is_collect": 0}
LIKED = {"note_idx": 2, "timestamp": SECONDS + 2, "is_like": 1}


def mapped(
    folder: Path, events: str | list[dict[str, Any]], items: str | list[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """Return the prepared events as (user, item, scenario, action, seconds after the start), by time."""
    paths = []
    for name, content in (("events", events), ("items", items)):
        if isinstance(content, str):
            paths.append(folder / f"{name}.csv")
            paths[-1].write_text(content)
        else:
            paths.append(folder / f"{name}.parquet")
            pq.write_table(pa.Table.from_pylist(content), paths[-1])
    prepare(*paths, folder / "data")
    rows = pq.read_table(folder / "data" / "events.parquet").sort_by("timestamp").to_pylist()
    return [(*list(row.values())[:4], (row["timestamp"] - AT).total_seconds()) for row in rows]


def items_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "data" / "items.parquet").to_pylist()


def test_movielens(tmp_path):
    events = f"userId,movieId,rating,timestamp\n7,031,4.5,{SECONDS}\n7,5,3.0,{SECONDS + 60}\n"
    items = 'movieId,title,genres\n031,"Heat, 1995",Crime|Drama\n5,Sabrina (1995),(no genres listed)\n'
    assert mapped(tmp_path, events, items) == [("7", "031", "movies", "rating", 0), ("7", "5", "movies", "rating", 60)]
    assert [item["tags"] for item in items_of(tmp_path)] == [["Crime", "Drama"], ["(no genres listed)"]]


@pytest.mark.parametrize("form", ["{}", "{}.0", "{}000", "{}000000", "{}000000000"])
def test_movielens_with_times_of_any_unit(tmp_path, form):
    events = f"userId,movieId,rating,timestamp\n7,1,4.5,{form.format(SECONDS)}\n7,2,3.0,{form.format(SECONDS + 60)}\n"
    rows = mapped(tmp_path, events, "movieId,title,genres\n1,Heat,Crime\n2,Sabrina,Drama\n")
    assert [row[-1] for row in rows] == [0, 60]


def test_kuairand(tmp_path):
    events = f"user_id,video_id,date,hourmin,time_ms,is_click,tab\n3,9,20240101,0,{SECONDS}000,1,1\n3,8,20240101,0,{SECONDS}250,0,15\n"
    items = 'video_id,author_id,video_type,tag\n9,1,NORMAL,"12,65"\n8,1,AD,\n'
    assert mapped(tmp_path, events, items) == [("3", "9", "tab_1", "click", 0), ("3", "8", "tab_15", "view", 0.25)]
    assert [(item["tags"], item["category"]) for item in items_of(tmp_path)] == [(None, "AD"), (["12", "65"], "NORMAL")]


@pytest.mark.parametrize(
    ("user", "lists"),
    [
        ({"encrypted_user_id": "u"}, {"homefeed_list": [NOTE], "ads_list": [SHARED_NOTE]}),
        ({"user_id": "u"}, {"homefeed_noteid_lastn": [NOTE], "ads_click_noteid_lastn": [SHARED_NOTE]}),
    ],
)
def test_red_mmu_with_each_of_its_column_names(tmp_path, user, lists):
    items = [{"item_id": name, "title": name} for name in ("n1", "n2")]
    rows = mapped(tmp_path, [user | lists], items)
    assert rows == [("u", "n1", "homefeed", "collect", 0), ("u", "n2", "ads", "view", 1)]


def test_red_mmu_joined_by_index(tmp_path):
    rows = mapped(
        tmp_path, [{"user_idx": 4, "ads_click_noteid_list": [LIKED]}], [{"note_idx": 2, "note_feature": [0.5]}]
    )
    assert rows == [("4", "2", "ads", "like", 2)]
