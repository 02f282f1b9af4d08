from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.merge import MERGES, Policy, merge_max, merge_quota, merge_round_robin

K = 15
EVERY_POLICY = pytest.mark.parametrize("policy", MERGES)


def searched(num_interests: int = 3, k: int = K) -> tuple[NDArray[np.floating], NDArray[np.float32], NDArray[np.int64]]:
    """Return the scores of 200 items by random interests, and the best k of each interest."""
    rng = np.random.default_rng(0)
    queries_QD, embeddings_ND = rng.normal(size=(num_interests, 8)), rng.normal(size=(200, 8))
    return queries_QD @ embeddings_ND.T, *exact_search(queries_QD, embeddings_ND, k)


def test_merged_list_is_the_top_k_of_the_best_interest_per_item():
    scores_QN, *result = searched()
    merged = merge_max(*result, K)
    best_K = np.argsort(-scores_QN.max(axis=0))[:K]
    assert merged.items_K.tolist() == best_K.tolist()
    assert merged.interests_K.tolist() == scores_QN.argmax(axis=0)[best_K].tolist()


def test_scores_that_differ_by_rounding_tie_to_the_lower_item():
    scores_QK = np.array([[0.5 + 2e-8, 0.5]], dtype=np.float64)
    assert merge_max(scores_QK, np.array([[9, 3]]), k=2).items_K.tolist() == [3, 9]


def test_interests_take_turns():
    """The interests' own items, best first: 0 has 1 2 3, 1 has 2 1 4, 2 has 5 6 7."""
    items_QK = np.array([[1, 2, 3], [2, 1, 4], [5, 6, 7]])
    scores_QK = np.array([[0.5, 0.4, 0.3], [0.9, 0.8, 0.1], [0.2, 0.1, 0.0]], np.float32)
    merged = merge_round_robin(scores_QK, items_QK, k=6)
    assert merged.items_K.tolist() == [2, 1, 5, 4, 3, 6]
    assert merged.interests_K.tolist() == [1, 0, 2, 1, 0, 2]
    assert merged.scores_K.tolist() == pytest.approx([0.9, 0.8, 0.2, 0.1, 0.3, 0.1])  # 1 scores 0.8 by interest 1


def test_an_interest_that_has_no_more_items_leaves_its_turns_to_the_others():
    items_QK = np.array([[1, NO_ITEM, NO_ITEM], [2, 3, 4]])
    scores_QK = np.array([[0.9, -np.inf, -np.inf], [0.3, 0.2, 0.1]], np.float32)
    assert merge_round_robin(scores_QK, items_QK, k=9).items_K.tolist() == [1, 2, 3, 4]


def test_each_interest_has_its_quota_and_the_rest_goes_to_the_best_scores():
    """Of five places each of two interests has two; the fifth goes to 3, which is better than any left of the other."""
    items_QK = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
    scores_QK = np.array([[0.9, 0.8, 0.7, 0.6, 0.5], [0.4, 0.3, 0.2, 0.1, 0.0]], np.float32)
    merged = merge_quota(scores_QK, items_QK, k=5)
    assert merged.items_K.tolist() == [1, 2, 3, 6, 7]
    assert merged.interests_K.tolist() == [0, 0, 0, 1, 1]


def test_an_item_in_the_quotas_of_two_interests_takes_one_place():
    items_QK, scores_QK = np.array([[1, 2], [1, 3]]), np.array([[0.9, 0.2], [0.8, 0.1]], np.float32)
    assert merge_quota(scores_QK, items_QK, k=2).items_K.tolist() == [1, 2]


def test_a_weak_interest_is_in_the_list_but_not_by_max():
    """Interest 1 scores all its items below any of interest 0."""
    items_QK = np.arange(2 * K).reshape(2, K)
    scores_QK = np.stack([np.linspace(1, 0.8, K), np.linspace(0.4, 0.2, K)]).astype(np.float32)
    counts = {policy: (merge(scores_QK, items_QK, 10).interests_K == 1).sum() for policy, merge in MERGES.items()}
    assert counts == {"max": 0, "round_robin": 5, "quota": 5}


@EVERY_POLICY
def test_with_one_interest_all_policies_give_the_same_list(policy: Policy):
    _, *result = searched(num_interests=1)
    for one, other in zip(MERGES[policy](*result, 9), merge_max(*result, 9), strict=True):
        assert one.tolist() == other.tolist()


@EVERY_POLICY
def test_k_distinct_items_are_found_where_k_exist(policy: Policy):
    for k in (1, 2, 4, K):
        items_K = MERGES[policy](*searched(k=k)[1:], k).items_K
        assert len(np.unique(items_K)) == len(items_K) == k


@EVERY_POLICY
def test_an_item_that_is_there_twice_in_a_row_is_taken_once_with_its_greatest_score(policy: Policy):
    """Where a boosted search adds to one by cosine, rows are not sorted and may repeat an item."""
    items_QK, scores_QK = np.array([[5, 6, 5], [6, 7, 6]]), np.array([[0.5, 0.4, 0.9], [0.3, 0.2, 0.6]], np.float32)
    merged = MERGES[policy](scores_QK, items_QK, 3)
    assert dict(zip(merged.items_K.tolist(), merged.scores_K.round(2).tolist(), strict=True)) == pytest.approx(
        {5: 0.9, 6: 0.6, 7: 0.2}
    )


@EVERY_POLICY
def test_the_order_of_the_rows_does_not_matter(policy: Policy):
    _, scores_QK, items_QK = searched()
    merged = MERGES[policy](scores_QK, items_QK, K)
    assert MERGES[policy](scores_QK[:, ::-1], items_QK[:, ::-1], K).items_K.tolist() == merged.items_K.tolist()
    assert MERGES[policy](scores_QK[::-1], items_QK[::-1], K).items_K.tolist() == merged.items_K.tolist()


@EVERY_POLICY
def test_equal_scores_go_to_the_lower_item(policy: Policy):
    scores_QK = np.full((2, 4), 0.5, np.float32)
    merged = MERGES[policy](scores_QK, np.array([[9, 3, 8, 1], [9, 3, 8, 1]]), 3)
    assert merged.items_K.tolist() == [1, 3, 8]


@pytest.mark.parametrize("policy", ["max", "quota"])
def test_the_list_is_sorted_by_score(policy: Policy):
    scores_K = MERGES[policy](*searched()[1:], K).scores_K
    assert all(earlier >= later for earlier, later in pairwise(scores_K.tolist()))


@EVERY_POLICY
def test_padding_is_left_out(policy: Policy):
    scores_QK = np.array([[0.4, -np.inf], [-np.inf, -np.inf]], dtype=np.float32)
    merged = MERGES[policy](scores_QK, np.array([[6, NO_ITEM], [NO_ITEM, NO_ITEM]]), 5)
    assert merged.items_K.tolist() == [6]


@EVERY_POLICY
@pytest.mark.parametrize("num_columns", [0, 2])
def test_empty_results_merge_to_an_empty_list(policy: Policy, num_columns: int):
    shape = 3, num_columns
    assert MERGES[policy](np.full(shape, -np.inf, np.float32), np.full(shape, NO_ITEM), 2).items_K.tolist() == []
