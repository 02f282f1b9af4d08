"""Baselines: the scorers that the towers have to beat.

`popularity` ranks a scenario's items by their training events in it. `mean_of_last_n` ranks them by their dot product
with the recency-weighted mean of the embeddings of the user's newest N events, in all scenarios. It has no parameters
of its own, but it uses the item embeddings that the towers learned, so it is a strong baseline.

Shapes: B users, N items, D embedding, S scenarios.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.scorers import Scorer
from redrec.folders import DataFolder
from redrec.history import History, Ints

LAST_N = 10
DECAY = 0.8  # weight of an event relative to the next newer one


def popularity(counts_SN: Ints) -> Scorer:
    """An item's embedding is its counts by scenario, a user's only interest the one-hot queried scenario."""
    one_hot_SS = np.eye(len(counts_SN), dtype=np.float32)

    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return np.tile(one_hot_SS[scenario], (len(histories), 1, 1))

    return Scorer(interests_of, counts_SN.T.astype(np.float32))


def mean_of_last_n(embeddings_ND: NDArray[np.floating]) -> Scorer:
    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return np.stack([_weighted_mean(history.item_L, embeddings_ND) for history in histories])[:, None]

    return Scorer(interests_of, embeddings_ND)


def _weighted_mean(item_L: Ints, embeddings_ND: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the recency-weighted mean, 0 without events."""
    newest_last = item_L[-LAST_N:]
    weights = DECAY ** np.arange(len(newest_last))[::-1]
    return (weights / max(weights.sum(), 1.0)).astype(np.float32) @ embeddings_ND[newest_last].astype(np.float32)


def popular_items(data: Path, k: int) -> dict[str, list[int]]:
    """Return, per scenario, the indices of its k items with most training events in it, most popular first."""
    vocabulary = read_vocabulary(data)
    allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios)
    counts_SN = train_counts(Histories(data), allowed_SN.shape[1], len(vocabulary.scenarios))
    popular = {}
    for name, counts_N, is_allowed_N in zip(vocabulary.scenarios, counts_SN, allowed_SN, strict=True):
        most_popular_first_N = np.argsort(-np.where(is_allowed_N, counts_N, -1), kind="stable")
        popular[name] = most_popular_first_N[: min(k, is_allowed_N.sum())].tolist()
    return popular
