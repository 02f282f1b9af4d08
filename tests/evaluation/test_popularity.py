"""Popularity: events before a moment, counted as the feature store counts them."""

import numpy as np

from redrec.data.columns import WINDOWS_DAYS
from redrec.data.histories import Histories
from redrec.data.statistics import item_statistics
from redrec.data.tables import connect, read
from redrec.evaluation.popularity import Popularity, counts_before
from redrec.history import MS_PER_HOUR
from redrec.index.popularity_boost import daily_rates
from tests.evaluation.planted import ALLOWED, NUM_ITEMS, log_of


def test_nothing_from_the_moment_on_is_counted(tmp_path):
    """Changing the events from a moment on changes no count."""
    data = log_of(tmp_path, is_planted=True)
    histories = Histories(data)
    for moment_ms in histories.begins_ms.values():
        counts_WSN = counts_before(histories, moment_ms, (1, NUM_ITEMS))
        is_before_N = histories.timestamp_ms_N < moment_ms
        assert counts_WSN.sum(axis=(1, 2))[-1] > counts_WSN.sum(axis=(1, 2))[0] > 0
        changed = Histories(data)
        changed.item_N = np.where(is_before_N, histories.item_N, 199 - histories.item_N)
        np.testing.assert_array_equal(counts_before(changed, moment_ms, (1, NUM_ITEMS)), counts_WSN)


def test_evaluation_counts_what_the_feature_store_counts(tmp_path):
    data = log_of(tmp_path, is_planted=True)
    events = read(connect("duckdb", tmp_path), data / "events.parquet", "events")
    newest = events.timestamp.max().execute().to_pydatetime()
    statistics = item_statistics(events, "shop", newest).to_pyarrow().to_pandas().set_index("item_id").sort_index()
    histories = Histories(data)
    counts_WN = counts_before(histories, int(np.asarray(histories.timestamp_ms_N).max()) + 1, (1, NUM_ITEMS))[:, 0]
    recent = [int(item_id[1:]) for item_id in statistics.index]
    for counts_N, days in zip(counts_WN, WINDOWS_DAYS, strict=True):
        assert counts_N.sum() == statistics[f"events_{days}d"].sum() > 0
        assert counts_N[recent].tolist() == statistics[f"events_{days}d"].tolist()


def test_moments_of_one_hour_share_what_came_before_it(tmp_path):
    histories = Histories(log_of(tmp_path, is_planted=True))
    popularity, hour_ms = Popularity(histories, ALLOWED), 10**12 // MS_PER_HOUR * MS_PER_HOUR + 900 * MS_PER_HOUR
    expected_SN = daily_rates(counts_before(histories, hour_ms, (1, NUM_ITEMS)))
    assert expected_SN.any()
    for moment_ms in (hour_ms, hour_ms + MS_PER_HOUR - 1):
        np.testing.assert_array_equal(popularity.rates(moment_ms), expected_SN)
