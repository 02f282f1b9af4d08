"""Ranks against sorting, metrics against hand arithmetic, intervals against their nominal coverage."""

import numpy as np
import pytest

from redrec.evaluation.intervals import bootstrap_means
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import Case, rank_targets, ranks


def test_ranks_equal_those_of_a_stable_sort():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores_N = rng.integers(0, 6, size=30).astype(float)  # many ties
        target_T = rng.choice(30, size=4, replace=False)
        seen = np.setdiff1d(rng.choice(30, size=8, replace=False), target_T)
        order = np.argsort(-scores_N, kind="stable")
        unseen_order = order[~np.isin(order, seen)]
        found = ranks(scores_N, target_T, seen)
        assert found.rank_T.tolist() == [int(np.flatnonzero(order == t)[0]) + 1 for t in target_T]
        assert found.rank_unseen_T.tolist() == [int(np.flatnonzero(unseen_order == t)[0]) + 1 for t in target_T]


def test_an_equal_score_for_all_is_no_first_place():
    assert ranks(np.zeros(100), np.array([99]), np.array([], int)).rank_T.tolist() == [100]


def test_a_target_touched_before_is_told_from_a_new_one():
    assert ranks(np.arange(5.0), np.array([1, 2]), np.array([1])).unseen_T.tolist() == [False, True]


def test_items_outside_the_scenario_are_no_candidates():
    cases = [Case(0, np.array([2]), np.array([], int))]
    is_candidate_N = np.array([False, True, True])
    found = list(rank_targets(lambda users, _: np.array([[9.0, 1.0, 2.0]] * len(users)), cases, 0, is_candidate_N))
    assert found[0].rank_T.tolist() == [1]


def test_metrics_of_two_targets_by_hand():
    metrics = user_metrics(np.array([1, 4]), ks=(3, 10))
    assert metrics["ndcg@10"] == pytest.approx((1 + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))
    assert (metrics["recall@3"], metrics["recall@10"], metrics["hit_rate@3"], metrics["mrr"]) == (0.5, 1.0, 1.0, 1.0)


def test_a_user_without_targets_is_no_evidence():
    assert all(np.isnan(value) for value in user_metrics(np.array([], int), ks=(10,)).values())


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    num_held = 0
    for seed in range(100):
        estimate = bootstrap_means((rng.random((200, 1)) < 0.3).astype(float), seed)[0]
        num_held += estimate.low <= 0.3 <= estimate.high
    assert 88 <= num_held <= 100  # nominal 95


def test_users_without_a_value_are_left_out_of_mean_and_interval():
    values_UM = np.array([[1.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])
    first, second = bootstrap_means(values_UM, seed=0)
    assert (first.value, first.users) == (0.5, 2)
    assert (second.value, second.low, second.users) == (None, None, 0)
