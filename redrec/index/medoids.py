"""Medoids: a user's newest events in clusters, and the item in the middle of each as an interest, without a model.

As in PinnerSage (arXiv:2007.03634): Ward's clustering of the events' item embeddings, an item per cluster, and the
clusters that matter most by their events, of which newer ones count more. Serving queries with them where the user
tower does not answer (`tests/benchmarks/policies.py`). SciPy has Ward's clustering too; the serving image has no SciPy.

A medoid finds items like itself, wherever they are shown and however rare. So the events are those of the queried
scenario, if it has any, and an item's popularity boost is raised by `POPULARITY`.

Shapes: L events, N items, D embedding, Q interests.
"""

import numpy as np
from numpy.typing import NDArray

from redrec.history import MS_PER_DAY, History, Ints

NUM_NEWEST = 48  # events that are clustered, as many as a history has by default; 0.8 ms of CPU
NUM_MEDOIDS = 3  # as many as the paper queries, and as a tower has interests
MAX_COST = 0.5  # of joining two clusters; two single events are joined above a cosine of 0.5
DECAY_PER_DAY = 0.01  # as in the paper: an event of 70 days ago counts half
POPULARITY = 1.0  # in logits; with none, popular items are better than medoids where scenarios show different items


def medoids(history: History, scenario: int, embeddings_ND: NDArray[np.floating], moment_ms: int) -> Ints:
    """Return the items in the middle of the most important clusters, at most `NUM_MEDOIDS`, most important first.

    Without events there are none. The medoid is the item with the least sum of squared distances to its cluster.
    """
    here = history.at(history.scenario_L == scenario)
    newest = (here if len(here.item_L) else history).at(slice(-NUM_NEWEST, None))
    embeddings_LD = np.asarray(embeddings_ND[newest.item_L], np.float32)
    cluster_L = ward_clusters(embeddings_LD, MAX_COST)
    age_days_L = np.maximum(0, moment_ms - newest.timestamp_ms_L) / MS_PER_DAY
    importance_L = np.bincount(cluster_L, np.exp(-DECAY_PER_DAY * age_days_L), minlength=len(cluster_L))
    most_important = np.argsort(-importance_L, kind="stable")[: min(NUM_MEDOIDS, len(np.unique(cluster_L)))]
    middle = [_medoid(embeddings_LD, cluster_L == cluster) for cluster in most_important]
    return newest.item_L[np.array(middle, np.int64)]


def _medoid(embeddings_LD: NDArray[np.float32], is_in_L: NDArray[np.bool_]) -> int:
    """Return the event of a cluster that is nearest to its center; of equal ones the first."""
    center_D = embeddings_LD[is_in_L].mean(0)
    distance_L = ((embeddings_LD - center_D) ** 2).sum(1)
    return int(np.where(is_in_L, distance_L, np.inf).argmin())


def ward_clusters(points_LD: NDArray[np.floating], max_cost: float) -> Ints:
    """Return each point's cluster, named by its first point.

    The two clusters whose union adds least to the sum of squared distances to the centers are joined, as long as it
    adds no more than `max_cost`. For two points of unit norm it adds 1 minus their cosine.

    >>> ward_clusters(np.array([[0.0], [9.0], [1.0], [9.5]]), max_cost=1.0).tolist()
    [0, 1, 0, 1]
    """
    num_points = len(points_LD)
    center_LD, size_L, cluster_L = points_LD.astype(np.float32), np.ones(num_points), np.arange(num_points)
    cost_LL = ((center_LD[:, None] - center_LD) ** 2).sum(2) / 2
    np.fill_diagonal(cost_LL, np.inf)
    for _ in range(num_points - 1):
        kept, joined = sorted(divmod(int(cost_LL.argmin()), num_points))
        if cost_LL[kept, joined] > max_cost:
            break
        size = size_L[kept] + size_L[joined]
        center_LD[kept] = (size_L[kept] * center_LD[kept] + size_L[joined] * center_LD[joined]) / size
        size_L[kept], cluster_L[cluster_L == joined] = size, kept
        distance_L = ((center_LD - center_LD[kept]) ** 2).sum(1)
        cost_L = np.where(np.isinf(cost_LL[kept]), np.inf, distance_L * size * size_L / (size + size_L))
        cost_LL[kept], cost_LL[:, kept] = cost_L, cost_L
        cost_LL[joined], cost_LL[:, joined] = np.inf, np.inf
    return cluster_L
