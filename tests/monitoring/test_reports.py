import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.reports import report_drift
from redrec.config import InputError
from redrec.drift.verdicts import DriftConfig
from redrec.drift.windows import load_windows
from tests.worlds import write_split

SCENARIOS = ["homefeed", "search", "ads"]
START = datetime(2026, 1, 5, tzinfo=UTC)
TEST_START = START + timedelta(days=28)  # then four days, so the reference is days 21 to 25
MS = timedelta(milliseconds=1)


def write_data(folder: Path, drifting: str | None = None, num_users: int = 500, categories: bool = True) -> Path:
    """Every user comes every few days to every scenario; `drifting` changes habits at the test start."""
    rng = np.random.default_rng(0)
    events = pa.concat_tables([scenario_events(rng, name, name == drifting, num_users) for name in SCENARIOS])
    folder.mkdir(parents=True)
    pq.write_table(events, folder / "events.parquet")
    category = np.array(["cooking", "travel", "games", "music"])[np.arange(200) % 4].tolist()
    items = {"item_id": [f"i{item}" for item in range(200)], "category": category if categories else [None] * 200}
    schema = pa.schema([("item_id", pa.string()), ("category", pa.string())])
    pq.write_table(pa.table(items, schema=schema), folder / "items.parquet")
    write_split(folder, SCENARIOS, round(TEST_START.timestamp() * 1000))
    return folder


def scenario_events(rng: np.random.Generator, scenario: str, is_drifting: bool, num_users: int) -> pa.Table:
    num_events = num_users * 32 * 2
    ms_N = np.sort(rng.integers(0, timedelta(days=32) // MS, num_events))
    is_changed_N = is_drifting & (ms_N >= (TEST_START - START) // MS)
    item_N = rng.integers(0, 200, num_events)
    item_N = np.where(is_changed_N & (rng.random(num_events) < 0.6), item_N // 4 * 4, item_N)  # towards cooking
    is_like_N = rng.random(num_events) < np.where(is_changed_N, 0.6, 0.2)
    return pa.table(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, num_users, num_events)],
            "item_id": [f"i{item}" for item in item_N],
            "scenario": pa.repeat(scenario, num_events),
            "action": np.where(is_like_N, "like", "click"),
            "timestamp": pa.array((round(START.timestamp() * 1000) + ms_N) * 1000, pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture(scope="module")
def drifted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    return folder / "out", report_drift(write_data(folder / "data", drifting="ads"), folder / "out")


def test_drift_in_one_scenario_is_found_there_and_nowhere_else(drifted):
    found = drifted[1]
    assert {name: one["verdict"] for name, one in found.items()} == {
        "homefeed": "stable",
        "search": "stable",
        "ads": "drift",
    }


def test_only_the_changed_habits_are_named(drifted):
    columns = drifted[1]["ads"]["columns"]
    assert {name for name, column in columns.items() if column["is_drifted"]} == {"main_action_share", "top_category"}
    assert columns["top_category"]["method"] == "jensenshannon"
    assert columns["main_action_share"]["method"] == "wasserstein"


def test_the_folder_holds_the_summary_and_a_report_for_each_scenario(drifted):
    out, found = drifted
    assert json.loads((out / "drift.json").read_text()) == json.loads(json.dumps(found))
    assert sorted(path.name for path in out.iterdir()) == ["ads.html", "drift.json", "homefeed.html", "search.html"]
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_without_drift_every_scenario_is_stable(tmp_path):
    found = report_drift(write_data(tmp_path / "data"), tmp_path / "out")
    assert {one["verdict"] for one in found.values()} == {"stable"}


def test_few_users_are_a_verdict_of_their_own(tmp_path):
    data = write_data(tmp_path / "data", drifting="ads", num_users=40)
    found = report_drift(data, tmp_path / "out")
    assert {one["verdict"] for one in found.values()} == {"insufficient"}
    assert "fewer than 200" in found["ads"]["reason"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drift.json"]


def test_items_without_category_leave_that_column_out(tmp_path):
    found = report_drift(write_data(tmp_path / "data", categories=False, num_users=250), tmp_path / "out")
    assert "top_category" not in found["ads"]["columns"]
    assert found["ads"]["verdict"] == "stable"


def test_the_windows_are_equally_long_and_whole_weeks_apart(tmp_path):
    windows = load_windows(write_data(tmp_path / "data", num_users=40))
    assert windows.current.start - windows.reference.start == timedelta(days=7)
    assert windows.current.end - windows.current.start == windows.reference.end - windows.reference.start
    assert windows.reference.end <= windows.current.start


def test_one_row_per_user_with_values_counted_by_hand(tmp_path):
    data = write_data(tmp_path / "data", num_users=40)
    windows = load_windows(data)
    start, end = windows.reference
    rows = [row for row in pq.read_table(data / "events.parquet").to_pylist() if start <= row["timestamp"] < end]
    mine = [row for row in rows if row["scenario"] == "ads" and row["user_id"] == "u0"]  # the first user by name
    frame = windows.scenarios["ads"].reference
    assert len(frame) == len({row["user_id"] for row in rows if row["scenario"] == "ads"})
    first = frame.iloc[0]
    assert first["num_events"] == len(mine)
    assert first["num_items"] == len({row["item_id"] for row in mine})
    assert first["main_action_share"] == pytest.approx(np.mean([row["action"] == "click" for row in mine]))
    newest = max(row["timestamp"] for row in mine)
    assert first["recency_hours"] == pytest.approx((end - newest) / timedelta(hours=1))


def test_a_training_window_shorter_than_the_newest_one_is_insufficient(tmp_path):
    data = write_data(tmp_path / "data")
    split = json.loads((data / "split.json").read_text())
    early = round((START + timedelta(days=10)).timestamp() * 1000)
    (data / "split.json").write_text(json.dumps({**split, "test_start_ms": early}))
    found = report_drift(data, tmp_path / "out")
    assert "shorter than the newest one" in found["ads"]["reason"]


def test_a_constant_column_is_no_drift(tmp_path):
    data = write_data(tmp_path / "data", num_users=250)
    events = pq.read_table(data / "events.parquet")
    events = events.set_column(events.schema.get_field_index("action"), "action", pa.repeat("click", len(events)))
    pq.write_table(events, data / "events.parquet")
    found = report_drift(data, tmp_path / "out", DriftConfig(min_users=100))
    assert found["ads"]["columns"]["main_action_share"]["score"] == 0
    assert found["ads"]["verdict"] == "stable"


def test_a_missing_table_leaves_nothing_behind(tmp_path):
    data = write_data(tmp_path / "data", num_users=5)
    (data / "items.parquet").unlink()
    with pytest.raises(InputError, match=r"items.parquet does not exist"):
        report_drift(data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
