"""Scorers: the user tower, and the baselines that it has to beat.

`popularity` ranks a scenario's items by their training events in it. `mean_of_last_n` takes the recency-weighted
mean of the embeddings of the user's newest N events, in all scenarios, and looks for its neighbours: no
parameters of its own, but the item embeddings that the towers learned, so it is a strong one.

Shapes: B users, N items, D embedding, Q interests, S scenarios.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from redrec.data.histories import Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.prepare import read_vocabulary
from redrec.evaluation.ranking import Scorer
from redrec.model.history import HistoryConfig, Ints, tower_inputs

LAST_N = 10
DECAY = 0.8  # weight of an event against the next newer one
USERS_PER_RUN = 256


def popularity(counts_SN: Ints) -> Scorer:
    return lambda users, scenario: np.repeat(counts_SN[scenario][None].astype(np.float32), len(users), axis=0)


def mean_of_last_n(histories: Histories, embeddings_ND: NDArray[np.floating]) -> Scorer:
    def scores(users: Sequence[int], scenario: int) -> NDArray[np.floating]:
        users_BD = np.stack([_weighted_mean(histories.train_of(user).item_L, embeddings_ND) for user in users])
        return users_BD @ embeddings_ND.T

    return scores


def _weighted_mean(item_L: Ints, embeddings_ND: NDArray[np.floating]) -> NDArray[np.floating]:
    newest_last = item_L[-LAST_N:]
    weights = DECAY ** np.arange(len(newest_last))[::-1]
    return (weights / weights.sum()).astype(np.float32) @ embeddings_ND[newest_last]


class TowerScorer:
    """Scores by the exported user tower: the greatest dot product over a user's interests."""

    def __init__(self, export: Path, histories: Histories, config: HistoryConfig) -> None:
        self.session = onnxruntime.InferenceSession(export / "user_tower.onnx", providers=["CPUExecutionProvider"])
        self.vectors_NE = np.load(export / "item_vectors.npy", mmap_mode="r")
        self.embeddings_ND = np.load(export / "item_embeddings.npy").astype(np.float32)
        self.histories, self.config = histories, config

    def interests(self, users: Sequence[int], scenario: int) -> NDArray[np.floating]:
        """Return `interests_BQD`."""
        blocks = [users[start : start + USERS_PER_RUN] for start in range(0, len(users), USERS_PER_RUN)]
        return np.concatenate([self._run(block, scenario) for block in blocks])

    def _run(self, users: Sequence[int], scenario: int) -> NDArray[np.floating]:
        histories = [self.histories.train_of(user) for user in users]
        inputs = tower_inputs(histories, [scenario] * len(users), self.vectors_NE, self.config)
        return self.session.run(["interests_BQD"], inputs)[0]

    def __call__(self, users: Sequence[int], scenario: int) -> NDArray[np.floating]:
        interests_BQD = self.interests(users, scenario)
        best_BN = interests_BQD[:, 0] @ self.embeddings_ND.T
        for q in range(1, interests_BQD.shape[1]):
            np.maximum(best_BN, interests_BQD[:, q] @ self.embeddings_ND.T, out=best_BN)
        return best_BN


def popular_items(data: Path, k: int) -> dict[str, list[int]]:
    """Return, per scenario, the indices of its k items with most training events in it, most popular first."""
    vocabulary = read_vocabulary(data)
    allowed_SN = is_allowed(data / "items.parquet", vocabulary.scenarios)
    counts_SN = train_counts(Histories(data / "histories"), allowed_SN.shape[1], len(vocabulary.scenarios))
    return {
        name: np.argsort(-np.where(allowed_N, counts_N, -1), kind="stable")[: min(k, allowed_N.sum())].tolist()
        for name, counts_N, allowed_N in zip(vocabulary.scenarios, counts_SN, allowed_SN, strict=True)
    }
