"""Scorers: the popularity boost retrieves items that became popular before the moment of the query, and no others."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from redrec.data.columns import WINDOWS_DAYS
from redrec.data.histories import TEST, Histories
from redrec.data.prepare import DataConfig, prepare
from redrec.data.statistics import item_statistics
from redrec.data.tables import connect, read
from redrec.evaluation.boost_fit import fit_boosts
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.popularity import Popularity, counts_before
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, with_boosts
from redrec.model.boosts import BoostConfig, configured
from tests.worlds import write_log

NUM_ITEMS, NUM_USERS, NUM_DAYS, DAY_MS = 200, 150, 100, 86_400_000
ALLOWED = np.full((1, NUM_ITEMS), True)


def log_of(folder: Path, is_planted: bool, since: int = 80) -> Path:
    """Users have an event every seventh day; with `is_planted`, half of them are of five new items from a day on."""
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        for day in range(user % 7, NUM_DAYS, 7):
            is_new = is_planted and day >= since and rng.random() < 0.5
            item = rng.integers(5) if is_new else rng.integers(5, NUM_ITEMS)
            rows.append((f"u{user}", f"i{item:03}", 10**12 + day * DAY_MS + user))
    tables = write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])
    prepare(*tables, folder / "data", DataConfig(test_share=0.1, has_validation=True))
    return folder / "data"


def random_scorer() -> Scorer:
    """Return a scorer that knows nothing: random unit vectors."""
    rng = np.random.default_rng(1)
    embeddings_ND, interest_D = rng.normal(size=(NUM_ITEMS, 8)), rng.normal(size=8)
    embeddings_ND /= np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    return Scorer(lambda histories, scenario, moment_ms_B: np.tile(interest_D, (len(histories), 1, 1)), embeddings_ND)


def hit_rate(scorer: Scorer, histories: Histories) -> float:
    cases = cases_of(histories, 0, TEST, num_targets=3, max_users=1000, seed=0)
    return float(user_metrics(rank_cases(scorer, histories, cases, 0, ALLOWED[0]).rank_UT, (10,))["hit_rate@10"].mean())


@pytest.mark.parametrize(("is_planted", "least", "most"), [(True, 0.4, 0.6), (False, 0.0, 0.1)])
def test_the_boost_retrieves_newly_popular_items_if_they_were_planted(tmp_path, is_planted, least, most):
    histories = Histories(log_of(tmp_path, is_planted))
    popularity, weights = Popularity(histories, NUM_ITEMS, 1), configured(BoostConfig(popularity=1.0))
    boosted = with_boosts(random_scorer(), popularity, ALLOWED, [weights], logit_scale=1.0)
    assert hit_rate(random_scorer(), histories) < 0.1
    assert least <= hit_rate(boosted, histories) <= most


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


def repeating_log(folder: Path, is_planted: bool) -> Path:
    """Users have four items each, and with `is_planted` come back to them alone."""
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        own = rng.choice(NUM_ITEMS, 4, replace=False)
        for day in range(user % 5, NUM_DAYS, 5):
            item = rng.choice(own) if is_planted else rng.integers(NUM_ITEMS)
            rows.append((f"u{user}", f"i{item:03}", 10**12 + day * DAY_MS + user))
    tables = write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])
    prepare(*tables, folder / "data", DataConfig(test_share=0.1))
    return folder / "data"


@pytest.mark.parametrize(("is_planted", "least", "most"), [(True, 0.95, 1.0), (False, 0.0, 0.2)])
def test_the_boost_of_own_items_retrieves_them_if_users_come_back(tmp_path, is_planted, least, most):
    histories = Histories(repeating_log(tmp_path, is_planted))
    weights = configured(BoostConfig(popularity=0.0, own=5.0))
    boosted = with_boosts(random_scorer(), Popularity(histories, NUM_ITEMS, 1), ALLOWED, [weights], logit_scale=1.0)
    assert least <= hit_rate(boosted, histories) <= most
    assert hit_rate(random_scorer(), histories) < 0.2


def test_own_items_outside_the_catalog_of_a_scenario_are_no_candidates(tmp_path):
    histories = Histories(repeating_log(tmp_path, True))
    weights, nothing = configured(BoostConfig(own=5.0)), np.full((1, NUM_ITEMS), False)
    boosted = with_boosts(random_scorer(), Popularity(histories, NUM_ITEMS, 1), nothing, [weights], logit_scale=1.0)
    cases = cases_of(histories, 0, TEST, num_targets=3, max_users=9, seed=0)
    assert (rank_cases(boosted, histories, cases, 0, nothing[0]).rank_UT <= 1).all()  # there is nothing else


@pytest.mark.parametrize("is_planted", [True, False])
def test_the_fit_finds_repeats_and_popularity_where_they_were_planted_and_nothing_else(tmp_path, is_planted):
    for name, make in (("own", repeating_log), ("popular", partial(log_of, since=60))):
        (tmp_path / name).mkdir()
        data = make(tmp_path / name, is_planted)
        (weights,) = fit_boosts(random_scorer(), data, EvaluationConfig(num_targets=3), logit_scale=10.0)
        histories = Histories(data)
        boosted = with_boosts(random_scorer(), Popularity(histories, NUM_ITEMS, 1), ALLOWED, [weights], 10.0)
        gain = hit_rate(boosted, histories) - hit_rate(random_scorer(), histories)
        assert gain > 0.3 if is_planted else abs(gain) < 0.15
        if is_planted:
            assert (weights.popularity > sum(weights.own)) == (name == "popular")
