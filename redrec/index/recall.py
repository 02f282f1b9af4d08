"""Recall of an index against exact search, per scenario, on queries that look like interests.

Interests are near the items they retrieve, so a query is a sampled item's embedding with noise. A returned item is a
hit if its exact score reaches the exact k-th: items of equal content have equal embeddings, and the index may return
any of them.

Shapes: Q queries, N items, D embedding, K results.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.search import ItemIndex

RECALL_K = 10
MAX_QUERIES = 64  # with ten results each, the standard error of a recall of 0.95 is below 0.01
NOISE = 0.5  # share of a query's norm; cosine to its item is about 0.9, as between an interest and its targets
SCORE_TOLERANCE = 1e-5


def recall_by_scenario(
    index: ItemIndex, catalog: Catalog, embeddings_ND: NDArray[np.floating], scenarios: Sequence[str], seed: int = 0
) -> dict[str, float]:
    """Return recall@10 under each scenario's own filter; 1.0 for a scenario that may show no item."""
    recalls = {}
    for scenario in scenarios:
        item_filter = ItemFilter(scenario=scenario)
        is_allowed_N = catalog.is_allowed(item_filter)
        queries_QD = noisy_items(embeddings_ND, np.flatnonzero(is_allowed_N), seed)
        if len(queries_QD) == 0:
            recalls[scenario] = 1.0
            continue
        _, items_QK = index.search(queries_QD, RECALL_K, item_filter)
        recalls[scenario] = score_recall(items_QK, queries_QD, embeddings_ND, is_allowed_N)
    return recalls


def noisy_items(embeddings_ND: NDArray[np.floating], items: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Return unit-norm queries near a seeded sample of `items`."""
    rng = np.random.default_rng(seed)
    sample = rng.choice(items, min(MAX_QUERIES, len(items)), replace=False)
    queries_QD = embeddings_ND[np.sort(sample)].astype(np.float32)
    noise_QD = rng.normal(size=queries_QD.shape) * NOISE / np.sqrt(queries_QD.shape[1])
    queries_QD = (queries_QD + noise_QD).astype(np.float32)
    return queries_QD / np.linalg.norm(queries_QD, axis=1, keepdims=True)


def score_recall(
    items_QK: NDArray[np.int64],
    queries_QD: NDArray[np.float32],
    embeddings_ND: NDArray[np.floating],
    is_allowed_N: NDArray[np.bool_],
) -> float:
    """Return the share of exact results that are among `items_QK`; an item of equal score counts as the same."""
    exact_QK, _ = exact_search(queries_QD, embeddings_ND, items_QK.shape[1], is_allowed_N)
    kth_Q = np.where(np.isneginf(exact_QK), np.inf, exact_QK).min(axis=1)
    embeddings_QKD = embeddings_ND[np.maximum(items_QK, 0)].astype(np.float32)
    scores_QK = np.einsum("qd,qkd->qk", queries_QD, embeddings_QKD)
    is_hit_QK = (items_QK != NO_ITEM) & (scores_QK >= kth_Q[:, None] - SCORE_TOLERANCE)
    return float(is_hit_QK.sum() / (~np.isneginf(exact_QK)).sum())
