"""Boosted search: what an index returns by cosine, and the items that boosts lift into the best k.

Boosts are never negative and only popular items and the user's own have one. So the k best of a boosted search are
among the k best by cosine, the k best popular and the k best own items, and no index needs to know boosts.

Shapes: N items, T own items, Q interests, D embedding, K results.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.index.exact import NO_ITEM, SearchResult, exact_search_among
from redrec.index.filters import ItemFilter
from redrec.index.popularity_boost import PopularItems


class OwnBoosts(NamedTuple):
    """A user's items with their boosts; whether each may be shown, and its embedding."""

    items_T: NDArray[np.int64]
    boost_T: NDArray[np.float32]
    is_allowed_T: NDArray[np.bool_]
    embeddings_TD: NDArray[np.floating]


class Boosted(NamedTuple):
    """The boosts of one request; `popular` is None where no item is popular."""

    popular: PopularItems | None
    own: OwnBoosts

    def of_all(self, num_items: int) -> NDArray[np.float32]:
        """Return both boosts of all items, `boost_N`, for exact search."""
        boost_N = np.zeros(num_items, np.float32) if self.popular is None else self.popular.boost_N.copy()
        boost_N[self.own.items_T] += self.own.boost_T
        return boost_N

    def add_to(
        self, result: SearchResult, interests_QD: NDArray[np.float32], k: int, item_filter: ItemFilter
    ) -> SearchResult:
        """Return the results of a search by cosine with popular boosts, the best popular and the best own items.

        An item may be there more than once; its greatest score is right.
        """
        scores_QK, items_QK = result
        popular_T = np.zeros(len(self.own.items_T), np.float32)
        results = [(scores_QK, items_QK)]
        if self.popular is not None:
            boost_N = self.popular.boost_N
            popular_T = boost_N[self.own.items_T]
            results[0] = (scores_QK + np.where(items_QK == NO_ITEM, 0, boost_N[items_QK]), items_QK)
            results.append(self.popular.best(interests_QD, k, item_filter))
        results.append(self._best_own(interests_QD, k, popular_T))
        scores, items = zip(*results, strict=True)
        return np.hstack(scores), np.hstack(items)

    def _best_own(self, interests_QD: NDArray[np.float32], k: int, popular_T: NDArray[np.float32]) -> SearchResult:
        own = self.own
        boost_T = own.boost_T + popular_T
        return exact_search_among(own.items_T, interests_QD, own.embeddings_TD, k, own.is_allowed_T, boost_T)
