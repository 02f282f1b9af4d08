"""Metrics per user from the ranks of the targets; averaging and intervals are the caller's last step.

Shapes: U users, T targets of a user, K cut-offs.
"""

import numpy as np
from numpy.typing import NDArray

from redrec.history import Ints

KS = (5, 10, 50, 100, 1000)


def user_metrics(rank_UT: Ints, ks: tuple[int, ...] = KS) -> dict[str, NDArray[np.float64]]:
    """Return hit_rate, recall and ndcg at each k, and mrr, all in 0..1, one value a user; rank 0 is no target.

    NDCG is binary, its ideal has min(k, T) targets on top. MRR is that of the best target. A user without
    targets gets nan: no evidence, and a zero would bias the mean.

    >>> user_metrics(np.array([[2, 30, 0]]), ks=(10,))
    {'hit_rate@10': array([1.]), 'recall@10': array([0.5]), 'ndcg@10': array([0.38685281]), 'mrr': array([0.5])}
    """
    is_target_UT = rank_UT > 0
    num_targets_U = np.where(is_target_UT.any(1), is_target_UT.sum(1), np.nan)
    gain_UT = np.where(is_target_UT, 1 / np.log2(rank_UT + 1, where=is_target_UT, out=np.ones(rank_UT.shape)), 0)
    ideal_T = np.cumsum(1 / np.log2(np.arange(2, rank_UT.shape[1] + 2)))
    metrics = {}
    for k in ks:
        is_hit_UT = is_target_UT & (rank_UT <= k)
        ideal_U = ideal_T[np.clip(is_target_UT.sum(1), 1, k) - 1]
        metrics[f"hit_rate@{k}"] = np.where(np.isnan(num_targets_U), np.nan, is_hit_UT.any(1))
        metrics[f"recall@{k}"] = is_hit_UT.sum(1) / num_targets_U
        metrics[f"ndcg@{k}"] = np.where(np.isnan(num_targets_U), np.nan, (gain_UT * is_hit_UT).sum(1) / ideal_U)
    reciprocal_UT = np.where(is_target_UT, 1 / np.maximum(rank_UT, 1), 0)
    metrics["mrr"] = np.where(np.isnan(num_targets_U), np.nan, reciprocal_UT.max(1))
    return metrics
