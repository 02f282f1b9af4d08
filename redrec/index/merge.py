"""Merge: the results of a user's interests become one list of distinct items, by one of three policies.

| policy        | which items                                                    | their order              |
|---------------|----------------------------------------------------------------|--------------------------|
| `max`         | the best scores                                                | by score                 |
| `round_robin` | interests take turns, each its best item not yet in the list   | as they were taken       |
| `quota`       | the best k / Q of each interest, the rest by the best scores   | by score                 |

An item's score is the highest over the interests, whatever the policy. The top K of each interest include the top K
of any policy, so merging K results of each interest loses nothing. With one interest all policies give the same list.
Where a ranker follows (`redrec.index.ranker`), the policy decides which contenders it orders, and not their order.

Shapes: Q interests, K results, C candidates.
"""

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.index.exact import NO_ITEM

Policy = Literal["max", "round_robin", "quota"]

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


def merge_round_robin(scores_QK: NDArray[np.float32], items_QK: NDArray[np.int64], k: int) -> Merged:
    """Return k distinct items, each with the interest that took it; the interest of the best item begins.

    >>> merged = merge_round_robin(np.array([[0.9, 0.8], [0.8, 0.1]]), np.array([[4, 2], [2, 9]]), k=3)
    >>> merged.items_K, merged.interests_K
    (array([4, 2, 9]), array([0, 1, 1]))
    """
    best = merge_max(scores_QK, items_QK, items_QK.size)
    lists, position = _lists(scores_QK, items_QK), {item: c for c, item in enumerate(best.items_K.tolist())}
    best_Q = scores_QK.max(axis=1, initial=-np.inf).round(SCORE_DECIMALS)
    waiting = deque((q, iter(lists[q].tolist())) for q in np.argsort(-best_Q, kind="stable").tolist())
    taken: dict[int, int] = {}
    while waiting and len(taken) < k:
        interest, items = waiting.popleft()
        item = next((item for item in items if item not in taken), None)
        if item is not None:
            taken[item] = interest
            waiting.append((interest, items))
    taken_K = np.array([position[item] for item in taken], np.int64)
    return best.of(taken_K)._replace(interests_K=np.array(list(taken.values()), np.int64))


def merge_quota(scores_QK: NDArray[np.float32], items_QK: NDArray[np.int64], k: int) -> Merged:
    """Return k distinct items by score, among them the best k / Q of each interest, each with its best interest.

    >>> merged = merge_quota(np.array([[0.9, 0.8], [0.5, 0.1]]), np.array([[4, 2], [7, 9]]), k=2)
    >>> merged.items_K, merged.interests_K
    (array([4, 7]), array([0, 1]))
    """
    best, share = merge_max(scores_QK, items_QK, items_QK.size), k // len(items_QK)
    shares = [items[:share] for items in _lists(scores_QK, items_QK)]
    is_in_share_C = np.isin(best.items_K, np.concatenate(shares))
    return best.of(np.sort(np.argsort(~is_in_share_C, kind="stable")[:k]))


def _lists(scores_QK: NDArray[np.float32], items_QK: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return each interest's distinct items, best first."""
    rows = zip(scores_QK[:, None], items_QK[:, None], strict=True)
    return [merge_max(scores_1K, items_1K, items_1K.size).items_K for scores_1K, items_1K in rows]


MERGES: Mapping[Policy, Callable[[NDArray[np.float32], NDArray[np.int64], int], Merged]] = MappingProxyType(
    {"max": merge_max, "round_robin": merge_round_robin, "quota": merge_quota}
)
