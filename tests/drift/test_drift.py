"""Drift: a run's data folder is split at its test period, and past weeks of a log give floors."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.drift.calibration import MIN_PAIRS
from redrec.drift.config import DriftConfig
from redrec.drift.drift import calibrate, opened_data
from redrec.drift.logs import Sources
from tests.drift.worlds import SHARES, START, Noise, Planted, catalog, weeks
from tests.worlds import write_split

CONFIG = DriftConfig(num_permutations=199)


def write_data(folder: Path, planted: Planted | None, num_weeks: int = 3) -> Path:
    """Write a data folder whose last week is its test period."""
    folder.mkdir()
    logs = weeks(0, 2000, {"homefeed": planted} if planted else None, num_weeks)
    events = pa.concat_tables(logs).drop_columns(["category", "score"])
    pq.write_table(events, folder / "events.parquet")
    pq.write_table(catalog(np.random.default_rng(0))[0], folder / "items.parquet")
    epoch_ms = round((START - type(START)(1970, 1, 1)).total_seconds() * 1000)
    write_split(folder, list(SHARES), epoch_ms + round(timedelta(days=7 * (num_weeks - 1)) / timedelta(milliseconds=1)))
    return folder


def test_the_test_period_is_compared_with_the_week_before(tmp_path):
    with opened_data(write_data(tmp_path / "data", Planted(category=0.2))) as windows:
        drift = windows.drift(CONFIG)
    assert drift.windows["reference"][0].startswith("2026-01-12")
    assert drift.verdicts == {"ads": "stable", "homefeed": "drift", "search": "stable"}
    assert "category" in drift.scenarios["homefeed"].reason


def test_a_test_period_longer_than_what_is_before_it_is_insufficient(tmp_path):
    data = write_data(tmp_path / "data", None)
    early = round(timedelta(days=4) / timedelta(milliseconds=1))
    epoch_ms = round((START - type(START)(1970, 1, 1)).total_seconds() * 1000)
    write_split(data, list(SHARES), epoch_ms + early)
    with opened_data(data) as windows:
        drift = windows.drift(CONFIG)
    assert set(drift.verdicts.values()) == {"insufficient"}
    assert drift.windows is None and "whole weeks" in drift.scenarios["ads"].reason


def test_a_run_with_enough_past_windows_takes_its_floors_from_them(tmp_path):
    with opened_data(write_data(tmp_path / "few", None, num_weeks=4)) as windows:
        assert len(windows.past) == 1
        assert windows.drift(CONFIG).scenarios["homefeed"].columns["category"].floor == CONFIG.value_floor
    with opened_data(write_data(tmp_path / "enough", None, num_weeks=11)) as windows:
        assert len(windows.past) == MIN_PAIRS
        floor = windows.calibration(CONFIG).floors["homefeed"]["category"]["values"]
        assert windows.drift(CONFIG).scenarios["homefeed"].columns["category"].floor == floor


def write_past(folder: Path, num_weeks: int, noise: Noise) -> Sources:
    pq.write_table(pa.concat_tables(weeks(0, 1500, num_weeks=num_weeks, noise=noise)), folder / "past.parquet")
    pq.write_table(catalog(np.random.default_rng(0))[0], folder / "items.parquet")
    return Sources(folder / "past.parquet", None, folder / "items.parquet")


def test_floors_come_from_each_pair_of_weeks_and_are_higher_if_weeks_differ(tmp_path):
    alike = calibrate(write_past(tmp_path, 9, Noise()), 7, CONFIG)
    other = calibrate(write_past(tmp_path, 9, Noise(categories=0.3)), 7, CONFIG)
    assert alike.num_pairs == 8
    before, now = (one.floors["homefeed"]["category"]["values"] for one in (alike, other))
    assert now > 1.5 * before


def test_a_log_of_one_week_has_no_pairs(tmp_path):
    with pytest.raises(InputError, match="The log has 7 days, fewer than two windows of 7 days"):
        calibrate(write_past(tmp_path, 1, Noise()), 7, CONFIG)
