"""Scorers: what evaluation asks of a model, and the exported towers as one.

A model says something of a user who is asked for a scenario, a few interests, and something of each item, an embedding.
An item's score is the greatest dot product over the interests, raised where the item is met often lately. Baselines are
told in the same words (`baselines`).

Shapes: B users, S scenarios, N items, Q interests, D embedding.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.model.history import History, HistoryConfig, Ints, tower_inputs
from redrec.model.session import open_tower

# histories, the asked scenario, and the moment in milliseconds at which each user is asked -> interests_BQD
InterestsOf = Callable[[Sequence[History], int, Ints], NDArray[np.floating]]

USERS_PER_RUN = 256


class Scorer(NamedTuple):
    """`embeddings_ND` may be memory-mapped and of any float type: it is read in blocks."""

    interests_of: InterestsOf
    embeddings_ND: NDArray[np.floating]
    boost_SN: NDArray[np.float32] | None = None  # what is added to an item's score (`redrec.index.trend`); absent: 0

    def boost_of(self, scenario: int) -> NDArray[np.float32] | None:
        return None if self.boost_SN is None else self.boost_SN[scenario]


def in_blocks(interests_of: InterestsOf) -> InterestsOf:
    """Return the same, but asked for `USERS_PER_RUN` users at a time, whose inputs are in memory together."""

    def of_all(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        blocks = [slice(start, start + USERS_PER_RUN) for start in range(0, len(histories), USERS_PER_RUN)]
        return np.concatenate([interests_of(histories[block], scenario, moment_ms_B[block]) for block in blocks])

    return of_all


def exported_towers(export: Path, config: HistoryConfig) -> Scorer:
    """Return the towers in an export folder, run by ONNX Runtime as in serving."""
    tower = open_tower(export / "user_tower.onnx")
    vectors_NE = np.load(export / "item_vectors.npy", mmap_mode="r")

    @in_blocks
    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return tower(tower_inputs(histories, [scenario] * len(histories), moment_ms_B, vectors_NE, config))

    return Scorer(interests_of, np.load(export / "item_embeddings.npy", mmap_mode="r"))
