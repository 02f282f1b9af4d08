"""Scorers: the popularity boost retrieves items that became popular before the moment of the query, and no others."""

from pathlib import Path

import numpy as np
import pytest

from redrec.data.columns import WINDOWS_DAYS
from redrec.data.histories import TEST, VALIDATION, Histories, recent_counts
from redrec.data.prepare import DataConfig, prepare
from redrec.data.statistics import item_statistics
from redrec.data.tables import connect, read
from redrec.evaluation.cases import cases_of
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, with_popularity_boost
from tests.worlds import write_log

NUM_ITEMS, NUM_USERS, NUM_DAYS, DAY_MS = 200, 150, 100, 86_400_000
ALLOWED = np.full((1, NUM_ITEMS), True)


def log_of(folder: Path, is_planted: bool) -> Path:
    """Users have an event every seventh day; with `is_planted`, from day 80 on half of them are of five new items."""
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        for day in range(user % 7, NUM_DAYS, 7):
            is_new = is_planted and day >= 80 and rng.random() < 0.5
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
    boosted = with_popularity_boost(random_scorer(), histories, TEST, ALLOWED, weight=1.0, logit_scale=1.0)
    assert hit_rate(random_scorer(), histories) < 0.1
    assert least <= hit_rate(boosted, histories) <= most


def test_nothing_after_the_moment_is_counted(tmp_path):
    """Changing the events of the queried split and of later ones changes no count."""
    data = log_of(tmp_path, is_planted=True)
    histories = Histories(data)
    for split in (VALIDATION, TEST):
        counts_WSN = recent_counts(histories, split, NUM_ITEMS, 1)
        is_known_N = histories.split_N < split
        assert counts_WSN.sum(axis=(1, 2))[-1] > counts_WSN.sum(axis=(1, 2))[0] > 0
        changed = Histories(data)
        changed.item_N = np.where(is_known_N, histories.item_N, 199 - histories.item_N)
        changed.timestamp_ms_N = np.where(is_known_N, histories.timestamp_ms_N, histories.timestamp_ms_N + DAY_MS)
        np.testing.assert_array_equal(recent_counts(changed, split, NUM_ITEMS, 1), counts_WSN)


def test_evaluation_counts_what_the_feature_store_counts(tmp_path):
    data = log_of(tmp_path, is_planted=True)
    events = read(connect("duckdb", tmp_path), data / "events.parquet", "events")
    newest = events.timestamp.max().execute().to_pydatetime()
    statistics = item_statistics(events, "shop", newest).to_pyarrow().to_pandas().set_index("item_id").sort_index()
    counts_WN = recent_counts(Histories(data), TEST + 1, NUM_ITEMS, 1)[:, 0]
    recent = [int(item_id[1:]) for item_id in statistics.index]
    for counts_N, days in zip(counts_WN, WINDOWS_DAYS, strict=True):
        assert counts_N.sum() == statistics[f"events_{days}d"].sum() > 0
        assert counts_N[recent].tolist() == statistics[f"events_{days}d"].tolist()


def test_without_weight_nothing_is_boosted(tmp_path):
    histories = Histories(log_of(tmp_path, is_planted=True))
    assert (
        with_popularity_boost(random_scorer(), histories, TEST, ALLOWED, weight=0.0, logit_scale=1.0).boost_SN is None
    )
