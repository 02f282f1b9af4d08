"""Embedded index: the bundle's own embeddings, searched in process.

Up to `max_exact_items` every item is scored, in float32, and boosts are one more summand. A larger catalog is searched
in clusters (`redrec.index.clusters`), and its candidates are scored exactly; its embeddings stay as they are, so a
memory-mapped file costs no memory of its own. Where a filter leaves few items, these are scored, all of them.

There is nothing to copy, to lock or to connect to: several processes may search the same file.

Shapes: Q queries, N items, T items that are allowed, D embedding, C candidates, K results.
"""

from collections.abc import Sequence
from itertools import chain, compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.index.boosted import Boosted
from redrec.index.config import EmbeddedConfig
from redrec.index.exact import NO_ITEM, ExactSearch, SearchResult, added, exact_search_among, exact_search_each, top_k
from redrec.index.filters import Catalog, ItemFilter

FEW_SHARE = 1 / 12  # of a catalog: to gather so many rows and score them takes as long as to score all
SEARCHES_AT_ONCE = 8  # each has a mask and boosts of all items; more share no more
NO_BOOSTS = Boosted()


class Search(NamedTuple):
    """What one user's interests are searched for."""

    queries_QD: NDArray[np.floating]
    k: int
    item_filter: ItemFilter
    boosted: Boosted = NO_BOOSTS


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
        return self.search_each([Search(queries_QD, k, item_filter, boosted)])[0]

    def search_each(self, searches: Sequence[Search]) -> list[SearchResult]:
        """Return what `search` returns for each; where every item is scored, one pass over them serves several."""
        starts = range(0, len(searches), SEARCHES_AT_ONCE)
        return [*chain.from_iterable(self._search_few(searches[i : i + SEARCHES_AT_ONCE]) for i in starts)]

    def _search_few(self, searches: Sequence[Search]) -> list[SearchResult]:
        allowed = [self.catalog.is_allowed(search.item_filter) for search in searches]
        numbers = [int(np.count_nonzero(is_allowed_N)) for is_allowed_N in allowed]
        triples = [*zip(searches, allowed, numbers, strict=True)]
        whole = [self.is_exact and not self._is_few(number) for number in numbers]
        exact = [_of_all(*triple) for triple in compress(triples, whole)]
        of_all = iter(exact_search_each(exact, self.embeddings_ND) if exact else ())
        pairs = zip(triples, whole, strict=True)
        return [next(of_all) if is_whole else self._of_some(*triple) for triple, is_whole in pairs]

    def _is_few(self, num_allowed: int) -> bool:
        return num_allowed <= FEW_SHARE * len(self.embeddings_ND)

    def _of_some(self, search: Search, is_allowed_N: NDArray[np.bool_], num_allowed: int) -> SearchResult:
        """Return the result from the few items that are allowed, or from clusters."""
        queries_QD, k, item_filter, boosted = search
        queries_QD = np.asarray(queries_QD, np.float32)
        if self._is_few(num_allowed):
            items_T = np.flatnonzero(is_allowed_N)
            boost_T = boosted.of_all(len(is_allowed_N))[items_T]
            return exact_search_among(items_T, queries_QD, self.embeddings_ND[items_T], k, boost_T=boost_T)
        assert self.clusters is not None  # else every item is scored
        k = min(k, num_allowed)
        items_QC = self.clusters.candidates(queries_QD, k, is_allowed_N, num_allowed)
        result = self._scored(queries_QD, items_QC, k)
        return boosted.add_to(result, queries_QD, k, item_filter, self.catalog, self.embeddings_ND)

    def _scored(self, queries_QD: NDArray[np.float32], items_QC: NDArray[np.int64], k: int) -> SearchResult:
        """Return the k best candidates by their exact scores."""
        embeddings_QCD = np.asarray(self.embeddings_ND[items_QC], np.float32)
        scores_QC = np.matmul(embeddings_QCD, queries_QD[:, :, None])[:, :, 0]
        scores_QC[items_QC == NO_ITEM] = -np.inf
        return top_k(scores_QC, items_QC, k)


def _of_all(search: Search, is_allowed_N: NDArray[np.bool_], num_allowed: int) -> ExactSearch:
    boost_N = search.boosted.of_all(len(is_allowed_N))
    return ExactSearch(search.queries_QD, min(search.k, num_allowed), added(boost_N, is_allowed_N))
