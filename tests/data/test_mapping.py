"""Mapping: tables of known schemas get the contract's columns, recognised by their columns alone."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.prepare import DataConfig, prepare

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


def amazon(folder: Path, name: str, *rows: dict[str, Any]) -> Path:
    """Write rows as the published files have them, one JSON object per line."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def prepared_events(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(folder / "data" / "events.parquet").to_pylist()]


REVIEW_2014 = {
    "reviewerID": "A2SUAM1J3GNN3B",
    "asin": "0000013714",
    "reviewerName": "J. McDonald",
    "helpful": [2, 3],
    "reviewText": "I bought this for my husband who plays the piano.",
    "overall": 5.0,
    "summary": "Heavenly Highway Hymns",
    "unixReviewTime": 1252800000,
    "reviewTime": "09 13, 2009",
}
REVIEW_2018 = {
    "overall": 5.0,
    "vote": "2",
    "verified": True,
    "reviewTime": "01 1, 2018",
    "reviewerID": "AUI6WTTT0QZYS",
    "asin": "5120053084",
    "style": {"Size:": "Large", "Color:": "Charcoal"},
    "reviewerName": "Abbey",
    "reviewText": "I now have 4 of the 5 available colors of this shirt.",
    "summary": "Comfy, flattering, discreet--highly recommended!",
    "unixReviewTime": 1514764800,
}
META_2018 = {
    "category": ["Clothing", "Shirts"],
    "tech1": "",
    "description": ["A shirt.", "With pockets."],
    "title": "Shirt",
    "also_buy": [],
    "brand": "Coxlures",
    "main_cat": "Clothing, Shoes & Jewelry",
    "price": "$3.17",
    "asin": "5120053084",
    "imageURL": ["https://images-na.ssl-images-amazon.com/images/I/x.jpg"],
}
REVIEW_2023 = {
    "rating": 5.0,
    "title": "Such a lovely scent but not overpowering.",
    "text": "This spray is really nice.",
    "images": [],
    "asin": "B00YQ6X8EO",
    "parent_asin": "B00PARENT0",
    "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
    "timestamp": 1588687728923,
    "helpful_vote": 0,
    "verified_purchase": True,
}
META_2023 = {
    "main_category": "All Beauty",
    "title": "Howard LC0008 Leather Conditioner",
    "average_rating": 4.8,
    "rating_number": 10,
    "features": [],
    "description": [],
    "price": None,
    "images": [{"thumb": "https://m.media-amazon.com/images/I/x.jpg", "variant": "MAIN"}],
    "videos": [],
    "store": "Howard Products",
    "categories": [],
    "details": "{}",
    "parent_asin": "B00PARENT0",
    "bought_together": None,
}


@pytest.mark.parametrize("review", [REVIEW_2014, REVIEW_2018])
def test_amazon_reviews_of_2014_and_2018(tmp_path, review):
    items = amazon(tmp_path, "meta", META_2018 | {"asin": review["asin"]})
    quality = prepare(amazon(tmp_path, "reviews", review), items, tmp_path / "data")
    at = datetime.fromtimestamp(review["unixReviewTime"], UTC)
    assert prepared_events(tmp_path) == [(review["reviewerID"], review["asin"], "reviews", "review", at)]
    assert "reviewText" in quality.events.ignored
    (item,) = items_of(tmp_path)
    assert (item["body"], item["category"]) == ("A shirt. With pockets.", "Clothing, Shoes & Jewelry")
    assert item["tags"] == ["Clothing", "Shirts"]


def test_amazon_metadata_with_nested_categories(tmp_path):
    nested = {key: value for key, value in META_2018.items() if key != "category"} | {"categories": [["A", "B"], ["C"]]}
    prepare(amazon(tmp_path, "reviews", REVIEW_2018), amazon(tmp_path, "meta", nested), tmp_path / "data")
    assert items_of(tmp_path)[0]["tags"] == ["A", "B", "C"]


@pytest.mark.parametrize("meta", [META_2023, META_2023 | {"categories": ["Beauty"], "description": ["Soft."]}])
def test_amazon_reviews_of_2023(tmp_path, meta):
    prepare(
        amazon(tmp_path, "reviews", REVIEW_2023),
        amazon(tmp_path, "meta", meta),
        tmp_path / "data",
        DataConfig(constants={"scenario": "beauty"}),
    )
    at = datetime(2020, 5, 5, 14, 8, 48, 923_000, UTC)
    assert prepared_events(tmp_path) == [(REVIEW_2023["user_id"], "B00PARENT0", "beauty", "review", at)]
    (item,) = items_of(tmp_path)
    assert (item["category"], item["tags"] or []) == ("All Beauty", meta["categories"])


def test_amazon_ratings_of_2023_as_csv(tmp_path):
    (tmp_path / "events.csv").write_text("user_id,parent_asin,rating,timestamp\nu,B00PARENT0,5.0,1588687728923\n")
    prepare(tmp_path / "events.csv", amazon(tmp_path, "meta", META_2023), tmp_path / "data")
    assert prepared_events(tmp_path)[0][:2] == ("u", "B00PARENT0")


def items_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "data" / "items.parquet").to_pylist()


def test_movielens(tmp_path):
    events = f"userId,movieId,rating,timestamp\n7,031,4.5,{SECONDS}\n7,5,3.0,{SECONDS + 60}\n"
    items = 'movieId,title,genres\n031,"Heat, 1995",Crime|Drama\n5,Sabrina (1995),(no genres listed)\n'
    assert mapped(tmp_path, events, items) == [("7", "031", "movies", "rating", 0), ("7", "5", "movies", "rating", 60)]
    assert [item["tags"] for item in items_of(tmp_path)] == [["Crime", "Drama"], ["(no genres listed)"]]


def test_movielens_without_names_of_columns_is_read_as_the_error_says(tmp_path):
    dat, items = tmp_path / "ratings.dat", tmp_path / "movies.csv"
    dat.write_text(f"7::1::5::{SECONDS}\n7::2::3::{SECONDS + 60}\n")
    items.write_text("movieId,title,genres\n1,Heat,Crime\n2,Sabrina,Drama\n")
    with pytest.raises(
        InputError, match=r"is of no known type.*tab: \(echo userId::movieId.*> ratings\.tsv\.$"
    ) as error:
        prepare(dat, items, tmp_path / "data")
    subprocess.run(str(error.value).rpartition("tab: ")[2].rstrip("."), shell=True, check=True, cwd=tmp_path)
    prepare(tmp_path / "ratings.tsv", items, tmp_path / "data")
    assert [row[:4] for row in prepared_events(tmp_path)] == [("7", item, "movies", "rating") for item in ("1", "2")]


def test_ratings_without_names_of_columns_are_read_as_the_error_says(tmp_path):
    ratings, items = tmp_path / "ratings.csv", tmp_path / "items.csv"
    ratings.write_text(f"A2,0001,5.0,{SECONDS}\nA2,0002,3.0,{SECONDS + 60}\n")
    items.write_text("item_id,title\n0001,Heat\n0002,Sabrina\n")
    with pytest.raises(InputError, match="the first line has values, not the names of columns: A2, 0001, 5.0") as error:
        prepare(ratings, items, tmp_path / "data")
    command = str(error.value).rpartition("as in ")[2].rstrip(".").replace("FILE", ratings.name)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    constants = {"scenario": "books", "action": "review"}
    prepare(tmp_path / "events.csv", items, tmp_path / "data", DataConfig(constants=constants))
    assert [row[:4] for row in prepared_events(tmp_path)] == [
        ("A2", item, "books", "review") for item in ("0001", "0002")
    ]


def test_exchanged_tables_are_told_apart(tmp_path):
    events, items = tmp_path / "events.csv", tmp_path / "items.csv"
    events.write_text(f"user_id,item_id,scenario,action,timestamp\nu,1,ads,view,{SECONDS}\n")
    items.write_text("item_id,title\n1,Heat\n")
    with pytest.raises(InputError, match="items: this is an event log, .* Give the item table here"):
        prepare(events, events, tmp_path / "data")
    with pytest.raises(InputError, match="events: this is an item table, .* Give the event log here"):
        prepare(items, items, tmp_path / "data")


@pytest.mark.parametrize("form", ["{}", "{}.0", "{}000", "{}000000", "{}000000000"])
def test_movielens_with_times_of_any_unit(tmp_path, form):
    events = f"userId,movieId,rating,timestamp\n7,1,4.5,{form.format(SECONDS)}\n7,2,3.0,{form.format(SECONDS + 60)}\n"
    rows = mapped(tmp_path, events, "movieId,title,genres\n1,Heat,Crime\n2,Sabrina,Drama\n")
    assert [row[-1] for row in rows] == [0, 60]


def test_kuairand(tmp_path):
    events = (
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
        "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
        f"3,9,20240101,0,{SECONDS}000,1,0,0,0,0,0,1,9000,8000,0,0,0,0,1\n"
        f"3,8,20240101,0,{SECONDS}250,0,0,0,0,0,0,0,0,8000,0,0,0,0,15\n"
    )
    items = (
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
        'music_id,music_type,tag\n9,1,NORMAL,2024-01-01,LongImport,0,8000,720,1280,7,9,"12,65"\n'
        "8,1,AD,2024-01-01,ShortImport,0,8000,720,1280,7,9,\n"
    )
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
