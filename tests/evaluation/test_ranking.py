"""Ranks against sorting, for blocks of any size; ties, candidates, and seen items."""

from collections.abc import Sequence

import numpy as np
import pytest

from redrec.evaluation import ranking
from redrec.evaluation.ranking import rank_among, rank_targets
from redrec.index.exact import exact_search
from redrec.model.boosts import Own


def planted(seed: int, num_users: int = 7, num_items: int = 40, num_interests: int = 2) -> dict:
    """Interests and embeddings of small whole numbers: sums are exact, and many scores tie."""
    rng = np.random.default_rng(seed)
    targets = [rng.choice(num_items, size=3, replace=False) for _ in range(num_users)]
    seen = [rng.integers(num_items, size=12) for _ in range(num_users)]  # with repeats, and some targets
    own = [Own(np.unique(items), rng.integers(4, size=len(np.unique(items))).astype(np.float32)) for items in seen]
    return {
        "interests_BQD": rng.integers(-2, 3, size=(num_users, num_interests, 4)).astype(float),
        "embeddings_ND": rng.integers(-2, 3, size=(num_items, 4)).astype(np.float16),
        "target_BT": np.array(targets),
        "seen": seen,
        "is_candidate_N": rng.random(num_items) < 0.9,
        "boost_N": rng.integers(3, size=num_items).astype(np.float32) if seed % 2 else None,
        "own": own if seed % 3 == 2 else None,
    }


def sorted_rank(scores_N: np.ndarray, target: int, is_candidate_N: np.ndarray) -> int:
    """A second way: the position among the candidates in a stable sort."""
    order = [item for item in np.argsort(-scores_N, kind="stable") if is_candidate_N[item]]
    return order.index(target) + 1


def expected_ranks(world: dict) -> tuple[list, list]:
    scores_BN = (world["interests_BQD"] @ world["embeddings_ND"].T.astype(float)).max(1)
    scores_BN += 0 if world["boost_N"] is None else world["boost_N"]
    for scores_N, (items_T, boost_T) in zip(scores_BN, world["own"] or [], strict=False):
        scores_N[items_T] += boost_T
    ranks, unseen_ranks = [], []
    for scores_N, target_T, items in zip(scores_BN, world["target_BT"], world["seen"], strict=True):
        is_candidate_N = world["is_candidate_N"]
        is_unseen_N = is_candidate_N & ~np.isin(np.arange(len(scores_N)), items)
        last = is_candidate_N.sum() + 1
        ranks.append([sorted_rank(scores_N, t, is_candidate_N) if is_candidate_N[t] else last for t in target_T])
        unseen_ranks.append([sorted_rank(scores_N, t, is_unseen_N) if is_unseen_N[t] else None for t in target_T])
    return ranks, unseen_ranks


@pytest.mark.parametrize("items_per_block", [1, 3, 16, 1000])
def test_ranks_equal_those_of_a_stable_sort_for_blocks_of_any_size(monkeypatch, items_per_block):
    monkeypatch.setattr(ranking, "ITEMS_PER_PRODUCT", items_per_block)
    monkeypatch.setattr(ranking, "USERS_PER_PRODUCT", 3)  # of 7 users
    for seed in range(20):
        world = planted(seed)
        result, (ranks, unseen_ranks) = rank_targets(**world), expected_ranks(world)
        assert result.rank_UT.tolist() == ranks
        is_checked = np.not_equal(np.array(unseen_ranks), None)
        assert (result.rank_unseen_UT[is_checked] == np.array(unseen_ranks)[is_checked]).all()
        is_seen = [np.isin(t, s) for t, s in zip(world["target_BT"], world["seen"], strict=True)]
        assert ((result.rank_unseen_UT == 0) == np.array(is_seen)).all()


def test_real_scores_are_ranked_as_exact_search_ranks_them():
    rng = np.random.default_rng(0)
    interests_BQD, embeddings_ND = rng.standard_normal((5, 1, 16)), rng.standard_normal((300, 16)).astype(np.float16)
    _, order_BN = exact_search(interests_BQD[:, 0], embeddings_ND, k=300)
    result = rank_targets(interests_BQD, embeddings_ND, order_BN[:, [0, 9, 99]], no_items(5), np.full(300, True))
    assert result.rank_UT.tolist() == [[1, 10, 100]] * 5


def no_items(num_users: int) -> Sequence[np.ndarray]:
    return [np.empty(0, np.int64)] * num_users


def test_equal_items_share_a_score_however_it_is_rounded():
    """1000 copies of one vector in float32, scored in several products: the copies before the target rank above it."""
    rng = np.random.default_rng(0)
    embeddings_ND = np.tile(rng.standard_normal(64), (1000, 1)).astype(np.float32)
    interests_BQD = rng.standard_normal((3, 2, 64))
    result = rank_targets(interests_BQD, embeddings_ND, np.array([[0], [500], [999]]), no_items(3), np.full(1000, True))
    assert result.rank_UT.tolist() == [[1], [501], [1000]]


def test_an_item_outside_the_scenario_is_no_rival_and_no_hit():
    embeddings_ND = np.array([[9.0], [1.0], [2.0]])
    is_candidate_N = np.array([False, True, True])
    result = rank_targets(np.ones((1, 1, 1)), embeddings_ND, np.array([[2, 0]]), no_items(1), is_candidate_N)
    assert result.rank_UT.tolist() == [[1, 3]]


def test_the_winner_is_the_interest_that_scores_the_target_best():
    result = rank_targets(
        np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.eye(2), np.array([[0, 1, -1]]), no_items(1), np.full(2, True)
    )
    assert result.winner_UT.tolist() == [[0, 1, -1]]
    assert result.rank_UT.tolist() == [[1, 2, 0]]  # both score 1, and the lower item ranks above


@pytest.mark.parametrize("seed", [0, 1])  # without and with boosts
def test_a_rank_among_all_others_is_the_full_rank(seed):
    world = planted(seed) | {"is_candidate_N": np.full(40, True)}
    target_B1 = world["target_BT"][:, :1]
    rng = np.random.default_rng(0)
    others_BX = np.array([rng.permutation(np.delete(np.arange(40), target)) for target in target_B1[:, 0]])
    items_BX = np.hstack([target_B1, others_BX])
    full_B = rank_targets(**world).rank_UT[:, 0]
    boost_BX = None if world["boost_N"] is None else world["boost_N"][items_BX]
    assert rank_among(world["interests_BQD"], world["embeddings_ND"], items_BX, boost_BX).tolist() == full_B.tolist()


def test_a_model_that_broke_is_refused_and_not_ranked_first():
    with pytest.raises(ValueError, match="1 of 2 users have interests that are not numbers"):
        rank_targets(
            np.array([[[1.0]], [[np.nan]]]), np.ones((3, 1)), np.zeros((2, 1), int), no_items(2), np.full(3, True)
        )
