"""Seen items: left out where nobody comes back to them, shown where users do."""

from pathlib import Path

import numpy as np
import pytest

from redrec.data.histories import TEST, Histories
from redrec.data.prepare import DataConfig, prepare
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.contenders import best_items, queries_of
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, with_boosts
from redrec.evaluation.seen_items import with_exclusion
from redrec.model.boosts import OWN_COUNTS, BoostWeights
from tests.evaluation.planted import ALLOWED, NUM_ITEMS, NUM_USERS, random_scorer, repeating_log
from tests.worlds import write_log

SHOWN = BoostWeights(popularity=0.0, own=(0.0,) * len(OWN_COUNTS))
LEFT_OUT = SHOWN.model_copy(update={"excludes_seen": True})


def newcomers_log(folder: Path) -> Path:
    """Users have twenty items each, and never one of them again."""
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        for day, item in enumerate(rng.choice(NUM_ITEMS, 20, replace=False)):
            rows.append((f"u{user}", f"i{item:03}", 10**12 + day * 86_400_000 + user))
    tables = write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])
    prepare(*tables, folder / "data", DataConfig(test_share=0.1))
    return folder / "data"


def boosted(data: Path, weights: BoostWeights) -> Scorer:
    return with_boosts(random_scorer(), Popularity(Histories(data), ALLOWED), (weights,), 10.0)


@pytest.mark.parametrize(("log", "is_left_out"), [(newcomers_log, True), (lambda f: repeating_log(f, True), False)])
def test_they_are_left_out_where_nobody_comes_back_to_them(tmp_path: Path, log, is_left_out: bool):
    data = log(tmp_path)
    (decided,) = with_exclusion((SHOWN,), boosted(data, SHOWN), data, EvaluationConfig())
    assert decided.excludes_seen == is_left_out


def test_the_list_is_that_of_the_search_without_them_and_so_are_the_ranks(tmp_path: Path):
    histories = Histories(newcomers_log(tmp_path))
    cases = cases_of(histories, 0, TEST, 10, 40, 0)
    shown, left_out = (boosted(tmp_path / "data", weights) for weights in (SHOWN, LEFT_OUT))
    queries = queries_of(shown, histories, cases, 0)
    everything = best_items(shown, queries, ALLOWED[0], NUM_ITEMS)
    for query, of_all, best in zip(
        queries, everything, best_items(left_out, queries, ALLOWED[0], NUM_ITEMS), strict=True
    ):
        is_new_K = ~np.isin(of_all.items_K, query.history.item_L)
        assert 0 < is_new_K.sum() < NUM_ITEMS
        assert best.items_K.tolist() == of_all.items_K[is_new_K].tolist()
    with_all, without = (rank_cases(scorer, histories, cases, 0, ALLOWED[0]) for scorer in (shown, left_out))
    assert without.rank_UT.tolist() == with_all.rank_unseen_UT.tolist()


def test_a_seen_target_ranks_behind_all_others_where_seen_items_are_left_out(tmp_path: Path):
    histories = Histories(repeating_log(tmp_path, True))
    cases = cases_of(histories, 0, TEST, 1, 40, 0)
    ranks = rank_cases(boosted(tmp_path / "data", LEFT_OUT), histories, cases, 0, ALLOWED[0])
    assert (ranks.rank_UT[:, 0] > NUM_ITEMS - 5).sum() >= 0.9 * len(cases)
