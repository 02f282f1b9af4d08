"""Clusters: what share of them is read decides what a search finds; allowed items alone are found."""

import numpy as np
import pytest

from redrec.index.clusters import Clusters
from redrec.index.config import EmbeddedConfig
from redrec.index.exact import exact_search

N, D, K = 4_000, 16, 20


def clustered(num: int, seed: int) -> np.ndarray:
    """Around 80 centers, which are the same for every seed."""
    center_CD, rng = np.random.default_rng(9).normal(size=(80, D)), np.random.default_rng(seed)
    values_ND = center_CD[rng.integers(0, 80, num)] + 0.7 * rng.normal(size=(num, D))
    return (values_ND / np.linalg.norm(values_ND, axis=1, keepdims=True)).astype(np.float32)


EMBEDDINGS, QUERIES, ALL = clustered(N, seed=0), clustered(30, seed=1), np.ones(N, bool)
EXACT = exact_search(QUERIES, EMBEDDINGS, K)[1]


def recall(lists_share: float) -> float:
    items_QC = Clusters(EMBEDDINGS, EmbeddedConfig(lists_share=lists_share)).candidates(QUERIES, K, ALL, N)
    return float(np.mean([np.isin(exact_K, items_C).mean() for exact_K, items_C in zip(EXACT, items_QC, strict=True)]))


def test_reading_more_clusters_finds_more_and_all_of_them_find_everything():
    recalls = [recall(share) for share in (0.02, 0.1, EmbeddedConfig().lists_share, 1.0)]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.97 and recalls[2] > 0.98 and recalls[3] > 0.999


def test_the_same_embeddings_give_the_same_clusters():
    first, second = (Clusters(EMBEDDINGS, EmbeddedConfig()).candidates(QUERIES, K, ALL, N) for _ in range(2))
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize("num_allowed", [5, K, 1000])
def test_allowed_items_alone_are_candidates_and_k_of_them_where_k_exist(num_allowed: int):
    is_allowed_N = np.zeros(N, bool)
    is_allowed_N[np.random.default_rng(2).choice(N, num_allowed, replace=False)] = True
    items_QC = Clusters(EMBEDDINGS, EmbeddedConfig(lists_share=0.01)).candidates(QUERIES, K, is_allowed_N, num_allowed)
    is_item_QC = items_QC >= 0
    assert is_allowed_N[items_QC[is_item_QC]].all()
    assert (is_item_QC.sum(1) >= min(K, num_allowed)).all()
