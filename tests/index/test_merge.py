import numpy as np

from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.merge import merge_max


def test_merged_list_is_the_top_k_of_the_best_interest_per_item():
    rng = np.random.default_rng(0)
    queries_QD, embeddings_ND = rng.normal(size=(3, 8)), rng.normal(size=(200, 8))
    merged = merge_max(*exact_search(queries_QD, embeddings_ND, k=15), k=15)
    scores_QN = queries_QD @ embeddings_ND.T
    best_K = np.argsort(-scores_QN.max(axis=0))[:15]
    assert merged.items_K.tolist() == best_K.tolist()
    assert merged.interests_K.tolist() == scores_QN.argmax(axis=0)[best_K].tolist()


def test_scores_that_differ_by_rounding_tie_to_the_lower_item():
    scores_QK = np.array([[0.5 + 2e-8, 0.5]], dtype=np.float64)
    assert merge_max(scores_QK, np.array([[9, 3]]), k=2).items_K.tolist() == [3, 9]


def test_padding_is_left_out():
    scores_QK = np.array([[0.4, -np.inf], [-np.inf, -np.inf]], dtype=np.float32)
    merged = merge_max(scores_QK, np.array([[6, NO_ITEM], [NO_ITEM, NO_ITEM]]), k=5)
    assert merged.items_K.tolist() == [6]


def test_empty_results_merge_to_an_empty_list():
    assert merge_max(np.full((3, 2), -np.inf, dtype=np.float32), np.full((3, 2), NO_ITEM), k=2).items_K.tolist() == []
