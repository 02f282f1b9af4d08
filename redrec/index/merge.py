"""Merge: the results of a user's interests become one list, each item with the interest that scores it best.

Policy `max`: an item's score is the highest over the interests. The top K of each interest include the top K of this
maximum, so merging K results of each interest loses nothing.

Shapes: Q interests, K results.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.index.exact import NO_ITEM

# Inner products of unit vectors in float32 differ by about 1e-7 between libraries; equal items must tie.
SCORE_DECIMALS = 5


class Merged(NamedTuple):
    """One user's list, best first; it may be shorter than k."""

    items_K: NDArray[np.int64]
    scores_K: NDArray[np.float32]
    interests_K: NDArray[np.int64]

    def of(self, positions: slice | NDArray[np.int64]) -> "Merged":
        """Return the items at some positions of the list."""
        return Merged(self.items_K[positions], self.scores_K[positions], self.interests_K[positions])


def merge_max(scores_QK: NDArray[np.float32], items_QK: NDArray[np.int64], k: int) -> Merged:
    """Return the k best distinct items; ties go to the lower item, then to the lower interest.

    >>> merged = merge_max(np.array([[0.9, 0.5], [0.8, 0.7]]), np.array([[4, 2], [2, 9]]), k=2)
    >>> merged.items_K, merged.interests_K
    (array([4, 2]), array([0, 1]))
    """
    is_item_QK = items_QK != NO_ITEM
    items_C, scores_C = items_QK[is_item_QK], scores_QK[is_item_QK]
    interests_C = np.nonzero(is_item_QK)[0]
    order_C = np.lexsort((interests_C, items_C, -scores_C.round(SCORE_DECIMALS)))
    _, first_C = np.unique(items_C[order_C], return_index=True)
    best_K = order_C[np.sort(first_C)[:k]]
    return Merged(items_C[best_K], scores_C[best_K], interests_C[best_K])
