"""Scorers: the interface that evaluation needs of a model, and the exported towers as a scorer.

A scorer returns a few interests of a user for a queried scenario, and has an embedding of each item. An item's score
is the greatest dot product over the interests, plus its boost if any. Baselines are scorers too (`baselines`).

Shapes: B users, S scenarios, N items, Q interests, D embedding.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories, recent_counts
from redrec.folders import ModelFolder
from redrec.history import History, HistoryConfig, Ints, tower_inputs
from redrec.index.popularity_boost import boosts, daily_rates
from redrec.model.session import open_tower

# histories, the queried scenario, and each user's moment of the query in milliseconds -> interests_BQD
InterestsOf = Callable[[Sequence[History], int, Ints], NDArray[np.floating]]

USERS_PER_RUN = 256


class Scorer(NamedTuple):
    """`embeddings_ND` may be memory-mapped and of any float type: it is read in blocks."""

    interests_of: InterestsOf
    embeddings_ND: NDArray[np.floating]
    boost_SN: NDArray[np.float32] | None = None  # see `redrec.index.popularity_boost`; None: no boost

    def boost_of(self, scenario: int) -> NDArray[np.float32] | None:
        return None if self.boost_SN is None else self.boost_SN[scenario]


def in_blocks(interests_of: InterestsOf) -> InterestsOf:
    """Return `interests_of`, called for `USERS_PER_RUN` users at a time, so that few inputs are in memory."""

    def of_all(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        blocks = [slice(start, start + USERS_PER_RUN) for start in range(0, len(histories), USERS_PER_RUN)]
        return np.concatenate([interests_of(histories[block], scenario, moment_ms_B[block]) for block in blocks])

    return of_all


def exported_towers(model: Path, config: HistoryConfig) -> Scorer:
    """Return the exported towers of a model folder, run by ONNX Runtime as in serving."""
    folder = ModelFolder(model)
    tower = open_tower(folder.tower)
    vectors_NE = np.load(folder.item_vectors, mmap_mode="r")

    @in_blocks
    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return tower(tower_inputs(histories, [scenario] * len(histories), moment_ms_B, vectors_NE, config))

    return Scorer(interests_of, np.load(folder.item_embeddings, mmap_mode="r"))


def with_popularity_boost(
    scorer: Scorer, histories: Histories, split: int, allowed_SN: NDArray[np.bool_], weight: float, logit_scale: float
) -> Scorer:
    """Return the scorer with the boosts of the events before `split`, as in serving; with weight 0, the same scorer."""
    if weight == 0:
        return scorer
    num_scenarios, num_items = allowed_SN.shape
    rate_SN = daily_rates(recent_counts(histories, split, num_items, num_scenarios))
    boost_SN = [
        boosts(rate_N, is_allowed_N, weight, logit_scale)
        for rate_N, is_allowed_N in zip(rate_SN, allowed_SN, strict=True)
    ]
    return scorer._replace(boost_SN=np.stack(boost_SN))
