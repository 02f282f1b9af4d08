"""Shortfall: where an index has fewer items than a filter allows, exact search has the others.

A server reads a share of its index. What a narrow filter leaves may lie elsewhere: of 50 k clustered vectors on the
server 2.3.5, IVF_FLAT with 64 probes returned 1 of the 29 items that were available, HNSW at times 398 of 400. Then
all allowed items are scored from the bundle's own embeddings: 29 take no time, all of 1 M a tenth of a second.

Shapes: Q queries, N items, T of them allowed, D embedding, K results.
"""

import numpy as np
from numpy.typing import NDArray

from redrec.index.embedded import FEW_SHARE
from redrec.index.exact import NO_ITEM, SearchResult, exact_search, exact_search_among
from redrec.index.filters import Catalog, ItemFilter


def completed(
    result: SearchResult,
    queries_QD: NDArray[np.floating],
    k: int,
    item_filter: ItemFilter,
    catalog: Catalog,
    embeddings_ND: NDArray[np.floating],
) -> SearchResult:
    """Return a search's result if each query has k items, or all that are allowed; else that of exact search."""
    num_least = int((result[1] != NO_ITEM).sum(axis=1).min())
    if num_least == k:
        return result
    is_allowed_N = catalog.is_allowed(item_filter)
    items_T = np.flatnonzero(is_allowed_N)
    if num_least >= len(items_T):
        return result
    if len(items_T) <= FEW_SHARE * len(is_allowed_N):
        return exact_search_among(items_T, queries_QD, embeddings_ND[items_T], k)
    return exact_search(queries_QD, embeddings_ND, k, is_allowed_N)
