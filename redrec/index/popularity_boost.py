"""Popularity boost: a scenario's recently popular items rank higher, for every user.

The towers do not know what became popular after they were trained. So an item's score, a cosine, is boosted by
`weight * log(1 + rate / mean rate) / logit_scale`. The rate is events per day in the scenario, the mean over the
windows of the items' statistics, so that an event of yesterday counts more than one of last week.

Only the items with the greatest rates are boosted, each by its excess over the first item that is left out.

Shapes: W windows, N items, T boosted items, Q interests, D embedding, K results.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.data.columns import WINDOWS_DAYS
from redrec.index.exact import SearchResult, exact_search_among

MAX_BOOSTED = 16_384  # per scenario; their embeddings are scored for every request: 4 MiB of float32 at D = 64


class PopularItems(NamedTuple):
    """One scenario's boosts, and the boosted items with their embeddings."""

    boost_N: NDArray[np.float32]
    items_T: NDArray[np.int64]
    embeddings_TD: NDArray[np.float32]

    def best(self, interests_QD: NDArray[np.floating], k: int, is_allowed_T: NDArray[np.bool_]) -> SearchResult:
        """Return the best k of the boosted items for each interest, `scores_QK, items_QK`."""
        boost_T = self.boost_N[self.items_T]
        return exact_search_among(self.items_T, interests_QD, self.embeddings_TD, k, is_allowed_T, boost_T)


def daily_rates(counts_WN: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return events per day, the mean over the windows; the first axis is the windows, others may follow.

    >>> daily_rates(np.array([[1, 0], [1, 7], [1, 28], [1, 28]])).round(3).tolist()
    [0.297, 0.562]
    """
    return np.tensordot(1 / np.array(WINDOWS_DAYS), counts_WN, axes=1) / len(WINDOWS_DAYS)


def popularity_lifts(rate_N: NDArray[np.number], is_allowed_N: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return `log(1 + rate / mean rate)` of each item that may be shown; the mean is over these.

    >>> popularity_lifts(np.array([6.0, 0.0, 2.0, 0.0]), np.full(4, True)).astype(float).round(3).tolist()
    [1.386, 0.0, 0.693, 0.0]
    """
    allowed_rate_N = np.where(is_allowed_N, rate_N, 0.0)
    if not allowed_rate_N.any():
        return np.zeros(len(rate_N), dtype=np.float32)
    lift_N = np.log1p(allowed_rate_N / allowed_rate_N[is_allowed_N].mean())
    left_out = np.partition(lift_N, -MAX_BOOSTED - 1)[-MAX_BOOSTED - 1] if len(lift_N) > MAX_BOOSTED else 0.0
    return np.maximum(lift_N - left_out, 0.0).astype(np.float32)
