"""Exact search: the k items of highest inner product, the reference for every index.

One matrix product per block of items, so memory is Q times the block, for a catalog of any size. Serving also
falls back to it when Milvus is unavailable, and the examples of the evaluation use it.

Shapes: Q queries, B users, N items, M of them in a block, D embedding, K results.
"""

import numpy as np
from numpy.typing import NDArray

SearchResult = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores_QK, items_QK

BLOCK_ITEMS = 65_536  # 16 MiB of float32 at D = 64
USERS_PER_PRODUCT, ITEMS_PER_PRODUCT = 64, 16_384  # of many users: their scores stay in the processor's cache
NO_ITEM = -1  # pads a row that has fewer than K results; its score is -inf


def exact_search(
    queries_QD: NDArray[np.floating],
    embeddings_ND: NDArray[np.floating],
    k: int,
    is_allowed_N: NDArray[np.bool_] | None = None,
    boost_N: NDArray[np.float32] | None = None,
) -> SearchResult:
    """Return `scores_QK, items_QK`, best first; ties go to the lower item index.

    K is `min(k, N)`. If fewer items are allowed, the row ends in `NO_ITEM` with score -inf. A score is the inner
    product, plus the item's `boost_N` if given.

    >>> exact_search(np.eye(2), np.array([[1, 0], [0.5, 1], [1, 0]]), k=2)[1]
    array([[0, 2],
           [1, 0]])
    """
    num_items = len(embeddings_ND)
    k = min(k, num_items)
    queries_QD = np.asarray(queries_QD, dtype=np.float32)
    scores_QK = np.empty((len(queries_QD), 0), dtype=np.float32)
    items_QK = np.empty((len(queries_QD), 0), dtype=np.int64)
    for start in range(0, num_items, BLOCK_ITEMS):
        block_BD = np.asarray(embeddings_ND[start : start + BLOCK_ITEMS], dtype=np.float32)
        scores_QB = queries_QD @ block_BD.T
        if boost_N is not None:
            scores_QB += boost_N[start : start + BLOCK_ITEMS]
        if is_allowed_N is not None:
            scores_QB[:, ~is_allowed_N[start : start + BLOCK_ITEMS]] = -np.inf
        items_QB = np.broadcast_to(np.arange(start, start + len(block_BD)), scores_QB.shape)
        scores_QK, items_QK = top_k(np.hstack([scores_QK, scores_QB]), np.hstack([items_QK, items_QB]), k)
    return scores_QK, np.where(np.isneginf(scores_QK), NO_ITEM, items_QK)


def exact_search_among(
    items_T: NDArray[np.int64],
    queries_QD: NDArray[np.floating],
    embeddings_TD: NDArray[np.floating],
    k: int,
    is_allowed_T: NDArray[np.bool_],
    boost_T: NDArray[np.float32],
) -> SearchResult:
    """Return the result of `exact_search` among T items of the catalog, given with their embeddings and boosts."""
    scores_QK, positions_QK = exact_search(queries_QD, embeddings_TD, k, is_allowed_T, boost_T)
    return scores_QK, np.where(positions_QK == NO_ITEM, NO_ITEM, items_T[positions_QK])


def top_k(
    scores_QC: NDArray[np.float32], items_QC: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the k best of C candidates per query, best first; ties go to the earlier column."""
    k = min(k, scores_QC.shape[1])
    best_QK = np.empty((len(scores_QC), k), dtype=np.int64)
    for q, scores_C in enumerate(scores_QC):
        kth_score = np.partition(scores_C, -k)[-k]
        kept = np.flatnonzero(scores_C >= kth_score)  # a few more than k when scores tie at the edge
        best_QK[q] = kept[np.argsort(-scores_C[kept], kind="stable")[:k]]
    return np.take_along_axis(scores_QC, best_QK, axis=1), np.take_along_axis(items_QC, best_QK, axis=1)


def best_scores(
    interests_BQD: NDArray[np.floating], embeddings_DM: NDArray[np.floating], scratch: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the greatest dot product over each user's interests, `scores_BM`, a view of `scratch`.

    `scratch` is two arrays of at least B x M: allocating memory for every product takes longer than the product.
    """
    scores_BM, other_BM = scratch[:, : len(interests_BQD), : embeddings_DM.shape[1]]
    np.matmul(interests_BQD[:, 0], embeddings_DM, out=scores_BM)
    for q in range(1, interests_BQD.shape[1]):
        np.maximum(scores_BM, np.matmul(interests_BQD[:, q], embeddings_DM, out=other_BM), out=scores_BM)
    return scores_BM
