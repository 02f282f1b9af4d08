"""Boosted search: the boosts of one request, and two ways to add them to a search.

An exact search scores every item, so each item's boost is one more summand (`of_all`). Any other index returns the best
by cosine and knows no boosts. Boosts are never negative and only popular items and the user's own have one, so the k
best of a boosted search are among the k best by cosine, the k best popular and the k best own items (`add_to`).

Shapes: N items, T own items, Q interests, D embedding, K results.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.index.exact import NO_ITEM, SearchResult, exact_search_among
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.popularity_boost import PopularItems
from redrec.model.boosts import NOTHING, Own


class Boosted(NamedTuple):
    """The boosts of one request; `popular` is None where no item is popular."""

    popular: PopularItems | None = None
    own: Own = NOTHING

    def of_all(self, num_items: int) -> NDArray[np.float32]:
        """Return both boosts of all items, `boost_N`, for exact search."""
        boost_N = np.zeros(num_items, np.float32) if self.popular is None else self.popular.boost_N.copy()
        boost_N[self.own.items_T] += self.own.boost_T
        return boost_N

    def popular_of(self, items_K: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the popularity boost of some items."""
        return np.zeros(len(items_K), np.float32) if self.popular is None else self.popular.boost_N[items_K]

    def add_to(
        self,
        result: SearchResult,
        interests_QD: NDArray[np.float32],
        k: int,
        item_filter: ItemFilter,
        catalog: Catalog,
        embeddings_ND: NDArray[np.floating],
    ) -> SearchResult:
        """Return the results of a search by cosine with popular boosts, the best popular and the best own items.

        An item may be there more than once; its greatest score is right.
        """
        scores_QK, items_QK = result
        own_T, boost_T = self.own
        results = [(scores_QK, items_QK)]
        if self.popular is not None:
            popular_T = self.popular.items_T
            boost_N = self.popular.boost_N
            results[0] = (scores_QK + np.where(items_QK == NO_ITEM, 0, boost_N[items_QK]), items_QK)
            is_allowed_T = catalog.is_allowed_among(popular_T, item_filter)
            results.append(self.popular.best(interests_QD, k, is_allowed_T))
            boost_T = boost_T + boost_N[own_T]
        is_allowed_T = catalog.is_allowed_among(own_T, item_filter)
        results.append(exact_search_among(own_T, interests_QD, embeddings_ND[own_T], k, is_allowed_T, boost_T))
        scores, items = zip(*results, strict=True)
        return np.hstack(scores), np.hstack(items)
