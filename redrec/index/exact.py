"""Exact search: the k items of highest inner product, the reference for every index.

One matrix product per block of items, so memory is Q times the block, for a catalog of any size. Serving also
falls back to it when Milvus is unavailable, and the examples of the evaluation use it.

Shapes: Q queries, B users, N items, M of them in a block, D embedding, K results.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SearchResult = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores_QK, items_QK

BLOCK_ITEMS = 16_384  # 4 MiB of float32 at D = 64: they stay in the processor's cache
USERS_PER_PRODUCT, ITEMS_PER_PRODUCT = 64, 16_384  # of many users: their scores stay in the processor's cache
NO_ITEM = -1  # pads a row that has fewer than K results; its score is -inf
Best = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores_K, items_K of one query
NOTHING = (np.empty(0, np.float32), np.empty(0, np.int64))


class ExactSearch(NamedTuple):
    """Queries for the k best of all items; `added_N` is added to an item's inner product, -inf if it is not allowed."""

    queries_QD: NDArray[np.floating]
    k: int
    added_N: NDArray[np.float32]


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
    boost_N = np.zeros(len(embeddings_ND), np.float32) if boost_N is None else boost_N
    return exact_search_each([ExactSearch(queries_QD, k, added(boost_N, is_allowed_N))], embeddings_ND)[0]


def exact_search_each(searches: Sequence[ExactSearch], embeddings_ND: NDArray[np.floating]) -> list[SearchResult]:
    """Return the result of each search; a product of a block of items is for the queries of all."""
    queries_DQ = np.concatenate([search.queries_QD for search in searches], dtype=np.float32).T
    ends = np.cumsum([len(search.queries_QD) for search in searches]).tolist()
    rows = [slice(end - len(search.queries_QD), end) for search, end in zip(searches, ends, strict=True)]
    best_Q = [NOTHING] * queries_DQ.shape[1]
    for start in range(0, len(embeddings_ND), BLOCK_ITEMS):
        block_BD = np.asarray(embeddings_ND[start : start + BLOCK_ITEMS], dtype=np.float32)
        scores_BQ = block_BD @ queries_DQ  # in this order BLAS takes a third of the time for a few queries
        for (_, k, added_N), own in zip(searches, rows, strict=True):
            scores_QB = np.add(scores_BQ[:, own].T, added_N[start : start + BLOCK_ITEMS], order="C")
            best_Q[own] = [_better(*pair, start, k) for pair in zip(best_Q[own], scores_QB, strict=True)]
    lengths = [min(search.k, len(embeddings_ND)) for search in searches]
    return [_as_rows(best_Q[own], k) for own, k in zip(rows, lengths, strict=True)]


def _as_rows(best_Q: Sequence[Best], k: int) -> SearchResult:
    scores_QK = np.array([scores_K for scores_K, _ in best_Q], np.float32).reshape(len(best_Q), k)
    items_QK = np.array([items_K for _, items_K in best_Q], np.int64).reshape(len(best_Q), k)
    return scores_QK, np.where(np.isneginf(scores_QK), NO_ITEM, items_QK)


def added(boost_N: NDArray[np.float32], is_allowed_N: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Return what is added to each item's inner product: its boost, or -inf if it is not allowed."""
    return boost_N if is_allowed_N is None else np.where(is_allowed_N, boost_N, np.float32(-np.inf))


def _better(best: Best, scores_B: NDArray[np.float32], start: int, k: int) -> Best:
    """Return the k best of a query's best so far and of the next block."""
    scores_K, items_K = best
    if not len(items_K):
        best_K = _best(scores_B, min(k, len(scores_B)))
        return scores_B[best_K], best_K + start
    is_full = len(items_K) == k
    kept = np.flatnonzero(scores_B > scores_K[-1]) if is_full else np.arange(len(scores_B))
    if not len(kept):
        return best
    scores_C, items_C = np.concatenate([scores_K, scores_B[kept]]), np.concatenate([items_K, kept + start])
    order_K = _best(scores_C, min(k, len(scores_C)))
    return scores_C[order_K], items_C[order_K]


def exact_search_among(
    items_T: NDArray[np.int64],
    queries_QD: NDArray[np.floating],
    embeddings_TD: NDArray[np.floating],
    k: int,
    is_allowed_T: NDArray[np.bool_] | None = None,
    boost_T: NDArray[np.float32] | None = None,
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
        best_QK[q] = _best(scores_C, k)
    return np.take_along_axis(scores_QC, best_QK, axis=1), np.take_along_axis(items_QC, best_QK, axis=1)


def _best(scores_C: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the positions of the k best scores, best first."""
    kth_score = np.partition(scores_C, -k)[-k]
    kept = np.flatnonzero(scores_C >= kth_score)  # a few more than k when scores tie at the edge
    return kept[np.argsort(-scores_C[kept], kind="stable")[:k]]


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
