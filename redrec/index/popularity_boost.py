"""Popularity boost: a scenario's recently popular items rank higher, for every user.

The towers do not know what became popular after they were trained. So an item's score, a cosine, is boosted by
`weight * log(1 + rate / mean rate) / logit_scale`. The rate is events per day in the scenario, the mean over the
windows of the items' statistics, so that an event of yesterday counts more than one of last week. Training makes
cosine times logit scale the log of an item's chance to be next, up to a constant. So a weight of one, in logits, would
use the rate as a prior that the towers know nothing about; they know some of it.

Only the items with the greatest rates are boosted, each by its excess over the first item that is left out. The k
best of a boosted search are then among the k best by cosine and the boosted items: an index needs no boost.

Shapes: W windows, N items, T boosted items, Q interests, D embedding, K results.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from redrec.config import Config
from redrec.data.columns import WINDOWS_DAYS
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import Catalog, ItemFilter

MAX_BOOSTED = 16_384  # per scenario; their embeddings are scored for every request: 4 MiB of float32 at D = 64


class PopularityBoostConfig(Config):
    weight: float = Field(default=0.25, ge=0)  # in logits; 0: no item is boosted


class BoostedItems(NamedTuple):
    """One scenario's boosts, and the boosted items with their embeddings."""

    boost_N: NDArray[np.float32]
    items_T: NDArray[np.int64]
    embeddings_TD: NDArray[np.float32]
    catalog: Catalog  # of the boosted items alone

    def add_to(
        self,
        scores_QK: NDArray[np.float32],
        items_QK: NDArray[np.int64],
        interests_QD: NDArray[np.float32],
        k: int,
        item_filter: ItemFilter,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the results of a search by cosine with their boosts, and the best k of the boosted items."""
        scores_QK = scores_QK + np.where(items_QK == NO_ITEM, 0, self.boost_N[items_QK])
        is_allowed_T, boost_T = self.catalog.is_allowed(item_filter), self.boost_N[self.items_T]
        boosted_QK, positions_QK = exact_search(interests_QD, self.embeddings_TD, k, is_allowed_T, boost_T)
        boosted_items_QK = np.where(positions_QK == NO_ITEM, NO_ITEM, self.items_T[positions_QK])
        return np.hstack([scores_QK, boosted_QK]), np.hstack([items_QK, boosted_items_QK])


def daily_rates(counts_WN: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return events per day, the mean over the windows; the first axis is the windows, others may follow.

    >>> daily_rates(np.array([[1, 0], [1, 7], [1, 28], [1, 28]])).round(3).tolist()
    [0.297, 0.562]
    """
    return np.tensordot(1 / np.array(WINDOWS_DAYS), counts_WN, axes=1) / len(WINDOWS_DAYS)


def boosts(
    rate_N: NDArray[np.float64], is_allowed_N: NDArray[np.bool_], weight: float, logit_scale: float
) -> NDArray[np.float32]:
    """Return what is added to each item's cosine, `boost_N`; the mean rate is over the items that may be shown.

    >>> boost_N = boosts(np.array([6.0, 0.0, 2.0, 0.0]), np.full(4, True), weight=2, logit_scale=2)
    >>> boost_N.astype(float).round(3).tolist()
    [1.386, 0.0, 0.693, 0.0]
    """
    allowed_rate_N = np.where(is_allowed_N, rate_N, 0.0)
    if not allowed_rate_N.any():
        return np.zeros(len(rate_N), dtype=np.float32)
    lift_N = np.log1p(allowed_rate_N / allowed_rate_N[is_allowed_N].mean())
    left_out = np.partition(lift_N, -MAX_BOOSTED - 1)[-MAX_BOOSTED - 1] if len(lift_N) > MAX_BOOSTED else 0.0
    return (weight / logit_scale * np.maximum(lift_N - left_out, 0.0)).astype(np.float32)
