"""Popularity share: popularity that passes is told from popularity that lasts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data.prepare import DataConfig, prepare
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import EvaluationConfig
from redrec.evaluation.popularity_share import popularity_prior, popularity_shares
from tests.evaluation.planted import DAY_MS
from tests.worlds import write_log

NUM_ITEMS, NUM_USERS, NUM_DAYS, DAYS_POPULAR = 300, 200, 120, 20


def data_of(folder, passes: bool, **config):
    """Half of all events are of ten popular items: the same ones, or with `passes` others every twenty days."""
    prepare(*tables_of(folder, passes), folder / "data", DataConfig(test_share=0.05, **config))
    return folder / "data"


def tables_of(folder, passes: bool):
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        for day in range(user % 5, NUM_DAYS, 5):
            first = day // DAYS_POPULAR * 10 * passes
            item = rng.integers(first, first + 10) if rng.random() < 0.5 else rng.integers(NUM_ITEMS)
            rows.append((f"u{user}", f"i{item:03}", 10**12 + day * DAY_MS + user))
    return write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])


@pytest.mark.parametrize("split", ["global_time", "leave_last_out_per_scenario"])
def test_popularity_that_passes_is_of_the_moment_and_popularity_that_lasts_is_not(tmp_path, split):
    shares = []
    for passes in (True, False):
        folder = tmp_path / str(passes)
        folder.mkdir()
        shares += popularity_shares(data_of(folder, passes, split=split), EvaluationConfig()).tolist()
    assert shares[0] > 0.7
    assert shares[1] < 0.3


def test_without_a_validation_split_nothing_is_of_the_moment(tmp_path):
    data = data_of(tmp_path, passes=True, has_validation=False)
    assert popularity_shares(data, EvaluationConfig()).tolist() == [0.0]


def test_a_scenario_without_validation_targets_has_the_share_of_the_others(tmp_path):
    events, items = tables_of(tmp_path, passes=True)
    table = pq.read_table(events).to_pandas()
    ended = table[table.timestamp < table.timestamp.min() + pd.Timedelta(days=30)].assign(scenario="ended")
    pq.write_table(pa.Table.from_pandas(pd.concat([table, ended])), events)
    prepare(events, items, tmp_path / "data", DataConfig(test_share=0.05))
    vocabulary = read_vocabulary(tmp_path / "data").scenarios
    shares = dict(zip(vocabulary, popularity_shares(tmp_path / "data", EvaluationConfig()), strict=True))
    assert shares["ended"] == shares["shop"] > 0.7


def test_the_prior_is_the_share_of_the_log_of_an_items_count_over_the_mean():
    counts_SN, allowed_SN = np.array([[6, 0, 2, 0], [1, 1, 1, 1]]), np.full((2, 4), True)
    prior_SN = popularity_prior(counts_SN, np.array([0.5, 0.0]), allowed_SN)
    np.testing.assert_allclose(prior_SN, [np.log([4, 1, 2, 1]) / 2, np.zeros(4)], rtol=1e-6)
