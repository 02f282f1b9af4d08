"""Seen items: left out where nobody comes back to them, shown where users do."""

from pathlib import Path

import numpy as np
import pytest

from redrec.data.histories import TEST, Histories
from redrec.evaluation.baselines import recent_popularity
from redrec.evaluation.boost_fit import BoostFit
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.contenders import best_items, queries_of
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import Ranks, rank_cases
from redrec.evaluation.scorers import Scorer, with_boosts, without_seen
from redrec.evaluation.seen_items import excludes_seen, exclusions
from redrec.model.boosts import OWN_COUNTS, BoostWeights
from tests.evaluation.planted import ALLOWED, NUM_ITEMS, newcomers_log, random_scorer, repeating_log

SHOWN = BoostWeights(popularity=0.0, own=(0.0,) * len(OWN_COUNTS))
LEFT_OUT = SHOWN.model_copy(update={"excludes_seen": True})


def boosted(data: Path, weights: BoostWeights) -> Scorer:
    return with_boosts(random_scorer(), Popularity(Histories(data), ALLOWED), (weights,), 10.0)


@pytest.mark.parametrize(("log", "is_left_out"), [(newcomers_log, True), (repeating_log, False)])
def test_they_are_left_out_where_nobody_comes_back_to_them(tmp_path: Path, log, is_left_out: bool):
    data = log(tmp_path, is_planted=True)
    popularity = Popularity(Histories(data), ALLOWED)
    decided = exclusions(boosted(data, SHOWN), popularity, ["shop"], EvaluationConfig(), [False])
    assert decided == [is_left_out]


def test_they_are_shown_where_too_few_users_tell():
    """Without a target that either list finds, nobody gains by leaving them out, and nobody loses."""
    nobody = Ranks(*np.full((2, 6, 1), NUM_ITEMS), np.empty(0), np.empty(0))
    assert not excludes_seen(nobody)


def test_the_list_is_that_of_the_search_without_them_and_so_are_the_ranks(tmp_path: Path):
    histories = Histories(newcomers_log(tmp_path, is_planted=False))
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


@pytest.mark.parametrize("is_planted", [True, False])
def test_where_users_have_had_what_is_popular_own_items_hide_how_popular_it_is(tmp_path: Path, is_planted: bool):
    data = newcomers_log(tmp_path, is_planted)
    popularity = Popularity(Histories(data), ALLOWED)
    fit = BoostFit(random_scorer(), popularity, ["shop"], EvaluationConfig(num_targets=3), 10.0)
    among_all, among_new = (fit.weights(0, excludes_seen) for excludes_seen in (False, True))
    assert among_new.excludes_seen and not among_new.has_own
    assert (among_new.popularity > 1.3 * among_all.popularity) == is_planted


def test_baselines_leave_out_what_the_model_does(tmp_path: Path):
    histories = Histories(newcomers_log(tmp_path, is_planted=True))
    cases = cases_of(histories, 0, TEST, 10, 40, 0)
    recent = recent_popularity(Popularity(histories, ALLOWED))
    for weights, ranks_of in ((SHOWN, "rank_UT"), (LEFT_OUT, "rank_unseen_UT")):
        ranks = rank_cases(without_seen(recent, [weights.excludes_seen]), histories, cases, 0, ALLOWED[0])
        expected = getattr(rank_cases(recent, histories, cases, 0, ALLOWED[0]), ranks_of)
        assert ranks.rank_UT.tolist() == expected.tolist()
    plain = without_seen(random_scorer(), [True])
    alone, served = (rank_cases(scorer, histories, cases, 0, ALLOWED[0]) for scorer in (plain, random_scorer()))
    assert alone.rank_UT.tolist() == served.rank_unseen_UT.tolist() != served.rank_UT.tolist()


def test_a_seen_target_ranks_behind_all_others_where_seen_items_are_left_out(tmp_path: Path):
    histories = Histories(repeating_log(tmp_path, True))
    cases = cases_of(histories, 0, TEST, 1, 40, 0)
    ranks = rank_cases(boosted(tmp_path / "data", LEFT_OUT), histories, cases, 0, ALLOWED[0])
    assert (ranks.rank_UT[:, 0] > NUM_ITEMS - 5).sum() >= 0.9 * len(cases)
