"""Windows: their times, and one row per user with values counted by hand."""

from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from redrec.drift.windows import load_windows
from tests.drift.logs import write_data


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


def test_items_without_category_have_no_category_column(tmp_path):
    windows = load_windows(write_data(tmp_path / "data", num_users=40, categories=False))
    for users in windows.scenarios.values():
        assert "top_category" not in users.reference.columns and "top_category" not in users.current.columns
