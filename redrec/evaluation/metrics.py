"""Metrics of one user from the ranks of the targets; averaging and intervals are the caller's last step."""

import numpy as np
from numpy.typing import NDArray


def user_metrics(rank_T: NDArray[np.int64], ks: tuple[int, ...]) -> dict[str, float]:
    """Return hit_rate, recall and ndcg at each k, and mrr, all in 0..1.

    NDCG is binary, its ideal has min(k, T) targets on top. MRR is that of the best target. A user without
    targets gets nan: no evidence, and a zero would bias the mean.

    >>> user_metrics(np.array([2, 30]), ks=(10,))
    {'hit_rate@10': 1.0, 'recall@10': 0.5, 'ndcg@10': 0.38685280723454163, 'mrr': 0.5}
    """
    num_targets = len(rank_T)
    metrics: dict[str, float] = {}
    for k in ks:
        within = rank_T[rank_T <= k]
        ideal = _discount(np.arange(1, min(k, num_targets) + 1)).sum()
        metrics[f"hit_rate@{k}"] = float(len(within) > 0) if num_targets else np.nan
        metrics[f"recall@{k}"] = len(within) / num_targets if num_targets else np.nan
        metrics[f"ndcg@{k}"] = float(_discount(within).sum() / ideal) if num_targets else np.nan
    metrics["mrr"] = float(1 / rank_T.min()) if num_targets else np.nan
    return metrics


def _discount(rank: NDArray[np.int64]) -> NDArray[np.float64]:
    return 1 / np.log2(rank + 1)
