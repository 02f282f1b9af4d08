"""Verdicts on given scores: each threshold decides, and a shortage is a verdict of its own."""

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from redrec.drift.verdicts import DriftConfig, ScenarioDrift, scenario_drift, shortage
from redrec.drift.windows import ScenarioWindows, Window, Windows, load_windows
from tests.drift.logs import START, write_data

SCORES = {"num_events": 0.28, "top_category": 0.20}  # both below their default thresholds


def verdict_of(num_users: int = 300, is_reference_whole: bool = True, **config) -> ScenarioDrift:
    users = ScenarioWindows(pd.DataFrame(index=range(num_users)), pd.DataFrame(index=range(num_users)))
    week = Window(START, START + timedelta(days=7))
    windows = Windows(week, week, is_reference_whole, {"ads": users})
    thresholds = DriftConfig(**config)
    return scenario_drift(windows, users, SCORES, shortage(windows, users, thresholds), thresholds)


def test_scores_below_their_thresholds_are_stable():
    assert (verdict_of().verdict, verdict_of().reason) == ("stable", "no column is past its threshold")


def test_a_lower_numeric_threshold_is_passed_by_the_numeric_column_alone():
    drift = verdict_of(numeric_threshold=0.28)
    assert (drift.verdict, drift.reason) == ("drift", "past the threshold: num_events 0.28")
    assert not drift.columns["top_category"].is_drifted


def test_a_lower_categorical_threshold_is_passed_by_the_categorical_column_alone():
    drift = verdict_of(categorical_threshold=0.19)
    assert (drift.verdict, drift.reason) == ("drift", "past the threshold: top_category 0.20")
    assert not drift.columns["num_events"].is_drifted


@pytest.mark.parametrize(("min_users", "verdict"), [(300, "stable"), (301, "insufficient")])
def test_fewer_users_than_the_least_allowed_are_insufficient(min_users, verdict):
    drift = verdict_of(num_users=300, min_users=min_users)
    assert drift.verdict == verdict
    assert ("300 users in a window, fewer than 301" in drift.reason) == (verdict == "insufficient")


def test_a_training_window_shorter_than_the_newest_one_is_insufficient(tmp_path: Path):
    data = write_data(tmp_path / "data")
    split = json.loads((data / "split.json").read_text())
    early = round((START + timedelta(days=10)).timestamp() * 1000)
    (data / "split.json").write_text(json.dumps({**split, "test_start_ms": early}))
    windows = load_windows(data)
    reason = shortage(windows, windows.scenarios["ads"], DriftConfig())
    assert "shorter than the newest one" in reason
    assert verdict_of(is_reference_whole=False).verdict == "insufficient"
