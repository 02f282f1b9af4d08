"""Embedded index: the bundle's own embeddings, searched in process.

Up to `max_exact_items` every item is scored, in float32, and boosts are one more summand. A larger catalog is searched
in clusters (`redrec.index.clusters`), and its candidates are scored exactly; its embeddings stay as they are, so a
memory-mapped file costs no memory of its own. Where a filter leaves few items, these are scored, all of them.

There is nothing to copy, to lock or to connect to: several processes may search the same file.

Shapes: Q queries, N items, T items that are allowed, D embedding, C candidates, K results.
"""

import numpy as np
from numpy.typing import NDArray

from redrec.index.boosted import Boosted
from redrec.index.config import EmbeddedConfig
from redrec.index.exact import NO_ITEM, SearchResult, exact_search, exact_search_among, top_k
from redrec.index.filters import Catalog, ItemFilter

FEW_SHARE = 1 / 12  # of a catalog: to gather so many rows and score them takes as long as to score all
NO_BOOSTS = Boosted()


class EmbeddedIndex:
    """Searched from any thread; the embeddings are read, never written."""

    def __init__(self, embeddings_ND: NDArray[np.floating], catalog: Catalog, config: EmbeddedConfig) -> None:
        self.catalog, self.clusters = catalog, None
        self.is_exact = len(embeddings_ND) <= config.max_exact_items
        self.embeddings_ND = np.asarray(embeddings_ND, np.float32) if self.is_exact else embeddings_ND
        if not self.is_exact:
            from redrec.index.clusters import Clusters  # faiss takes a quarter of a second to import

            self.clusters = Clusters(embeddings_ND, config)

    def search(
        self, queries_QD: NDArray[np.floating], k: int, item_filter: ItemFilter, boosted: Boosted = NO_BOOSTS
    ) -> SearchResult:
        """Return `scores_QK, items_QK` as `exact_search` does, K at most the number of items that are allowed.

        An item may be there more than once if the catalog is in clusters; its greatest score is right.
        """
        num_items, queries_QD = len(self.embeddings_ND), np.asarray(queries_QD, np.float32)
        is_allowed_N = self.catalog.is_allowed(item_filter)
        num_allowed = int(np.count_nonzero(is_allowed_N))
        if num_allowed <= FEW_SHARE * num_items:
            items_T = np.flatnonzero(is_allowed_N)
            boost_T = boosted.of_all(num_items)[items_T]
            return exact_search_among(items_T, queries_QD, self.embeddings_ND[items_T], k, boost_T=boost_T)
        k = min(k, num_allowed)
        if self.clusters is None:
            return exact_search(queries_QD, self.embeddings_ND, k, is_allowed_N, boosted.of_all(num_items))
        items_QC = self.clusters.candidates(queries_QD, k, is_allowed_N, num_allowed)
        result = self._scored(queries_QD, items_QC, k)
        return boosted.add_to(result, queries_QD, k, item_filter, self.catalog, self.embeddings_ND)

    def _scored(self, queries_QD: NDArray[np.float32], items_QC: NDArray[np.int64], k: int) -> SearchResult:
        """Return the k best candidates by their exact scores."""
        embeddings_QCD = np.asarray(self.embeddings_ND[items_QC], np.float32)
        scores_QC = np.matmul(embeddings_QCD, queries_QD[:, :, None])[:, :, 0]
        scores_QC[items_QC == NO_ITEM] = -np.inf
        return top_k(scores_QC, items_QC, k)
