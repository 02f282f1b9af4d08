"""Collapse on planted interests: identical ones act as one, orthogonal ones share the users."""

import numpy as np
import pytest

from redrec.evaluation.collapse import interest_report
from redrec.evaluation.ranking import Ranks, rank_targets

NUM_USERS, NUM_INTERESTS = 90, 3


def planted(interests_QD: np.ndarray) -> Ranks:
    """Items are unit vectors; user u has item u % 3 as the target, and an item of another axis as the second."""
    embeddings_ND = np.tile(np.eye(NUM_INTERESTS), (20, 1))
    first_U = np.arange(NUM_USERS) % NUM_INTERESTS
    target_UT = np.stack([first_U, 57 + (first_U + 1) % NUM_INTERESTS], axis=1)  # the second is the last of 20 equals
    interests_UQD = np.tile(interests_QD, (NUM_USERS, 1, 1))
    return rank_targets(interests_UQD, embeddings_ND, target_UT, [np.empty(0, int)] * NUM_USERS, np.full(60, True))


def test_identical_interests_have_cosine_one_and_one_winner():
    report = interest_report(planted(np.ones((NUM_INTERESTS, NUM_INTERESTS))), NUM_INTERESTS, seed=0)
    assert report["cosine"]["value"] == pytest.approx(1)
    assert report["users_won"] == [1, 0, 0]
    assert report["tail_recall@10"] == {"value": None, "low": None, "high": None, "users": 0}


def test_orthogonal_interests_have_cosine_zero_and_share_the_users():
    report = interest_report(planted(np.eye(NUM_INTERESTS)), NUM_INTERESTS, seed=0)
    assert report["cosine"]["value"] == pytest.approx(0)
    assert report["users_won"] == pytest.approx([1 / 3] * 3)


def test_tail_recall_counts_the_targets_that_the_head_did_not_win():
    """Interest 0 wins most users. Three users have targets that another interest won; one of these is within ten."""
    rank_UT = np.array([[1, 0], [2, 0], [3, 50], [40, 5], [60, 0]])
    winner_UT = np.array([[0, -1], [0, -1], [0, 1], [0, 2], [1, -1]])
    report = interest_report(Ranks(rank_UT, rank_UT, winner_UT, np.full(5, 0.5)), NUM_INTERESTS, seed=0)
    assert report["users_won"] == [3 / 5, 1 / 5, 1 / 5]
    assert (report["tail_recall@10"]["value"], report["tail_recall@10"]["users"]) == (pytest.approx(1 / 3), 3)
    assert (report["head_recall@10"]["value"], report["head_recall@10"]["users"]) == (pytest.approx(3 / 4), 4)


def test_a_single_interest_has_no_cosine():
    report = interest_report(planted(np.ones((1, NUM_INTERESTS))), 1, seed=0)
    assert (report["cosine"]["value"], report["users_won"]) == (None, [1])
