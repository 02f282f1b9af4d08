"""Metrics per user from the ranks of the targets; averaging and intervals are the caller's last step.

A metric is a function of the ranks and a row of `METRICS_AT_K`, which `user_metrics` and the recipe's
`validation.metric` follow. The ranks start at 1; rank 0 is no target.

Shapes: U users, T targets of a user.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from redrec.history import Ints

KS = (5, 10, 50, 100, 1000)


def hit_rate(rank_UT: Ints, k: int) -> NDArray[np.bool_]:
    """Return whether any target is among the first k."""
    return _is_hit(rank_UT, k).sum(1) > 0


def recall(rank_UT: Ints, k: int) -> NDArray[np.float64]:
    """Return the share of the targets among the first k."""
    return _is_hit(rank_UT, k).sum(1) / np.maximum(_num_targets(rank_UT), 1)


def ndcg(rank_UT: Ints, k: int) -> NDArray[np.float64]:
    """Return the NDCG with binary relevance; the ideal list has min(k, T) targets on top."""
    is_hit_UT = _is_hit(rank_UT, k)
    gain_UT = np.where(is_hit_UT, 1 / np.log2(rank_UT + 1, where=is_hit_UT, out=np.ones(rank_UT.shape)), 0)
    ideal_T = np.cumsum(1 / np.log2(np.arange(2, rank_UT.shape[1] + 2)))
    return gain_UT.sum(1) / ideal_T[np.clip(_num_targets(rank_UT), 1, k) - 1]


def mrr(rank_UT: Ints) -> NDArray[np.float64]:
    """Return the reciprocal rank of the best target."""
    return np.where(rank_UT > 0, 1 / np.maximum(rank_UT, 1), 0).max(1)


METRICS_AT_K: dict[str, Callable[[Ints, int], NDArray]] = {"hit_rate": hit_rate, "recall": recall, "ndcg": ndcg}
METRIC_PATTERN = rf"^({'|'.join(METRICS_AT_K)})@[1-9]\d*$"


def user_metrics(rank_UT: Ints, ks: tuple[int, ...] = KS) -> dict[str, NDArray[np.float64]]:
    """Return all metrics at each k, and mrr, each in 0..1, one value per user.

    A user without targets gets nan: no evidence, and a zero would bias the mean.

    >>> user_metrics(np.array([[2, 30, 0]]), ks=(10,))
    {'hit_rate@10': array([1.]), 'recall@10': array([0.5]), 'ndcg@10': array([0.38685281]), 'mrr': array([0.5])}
    """
    metrics = {}
    for k in ks:
        for name, metric in METRICS_AT_K.items():
            metrics[f"{name}@{k}"] = metric(rank_UT, k)
    metrics["mrr"] = mrr(rank_UT)
    has_targets_U = _num_targets(rank_UT) > 0
    return {name: np.where(has_targets_U, value_U, np.nan) for name, value_U in metrics.items()}


def _is_hit(rank_UT: Ints, k: int) -> NDArray[np.bool_]:
    return (rank_UT > 0) & (rank_UT <= k)


def _num_targets(rank_UT: Ints) -> Ints:
    return (rank_UT > 0).sum(1)
