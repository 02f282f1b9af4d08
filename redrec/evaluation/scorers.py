"""Scorers: the interface that evaluation needs of a model, and the exported towers as a scorer.

A scorer returns a few interests of a user for a queried scenario, and has an embedding of each item. An item's score
is the greatest dot product over the interests, plus its boosts if any: of popular items, and of the user's own. A
ranker orders the best of them.
Baselines are scorers too (`baselines`).

Shapes: B users, S scenarios, N items, T own items of a user, Q interests, D embedding.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.evaluation.popularity import Popularity
from redrec.folders import ModelFolder
from redrec.history import History, HistoryConfig, Ints, tower_inputs
from redrec.index.ranker import RankedQuery, Ranker
from redrec.model.boosts import NOTHING, BoostWeights, Own, left_out
from redrec.model.session import open_tower

# histories, the queried scenario, and each user's moment of the query in milliseconds -> interests_BQD
InterestsOf = Callable[[Sequence[History], int, Ints], NDArray[np.floating]]

USERS_PER_RUN = 256


class Boosts(NamedTuple):
    """What is added to the scores of a queried scenario at a moment: by item, and by the user's own items."""

    popular: Callable[[int, int], NDArray[np.float32]]  # scenario, moment -> boost_N
    own: Callable[[RankedQuery], Own]

    def of_all(self, query: RankedQuery) -> NDArray[np.float32]:
        """Return both boosts of all items for one user, `boost_N`."""
        boost_N, own = self.popular(query.scenario, query.moment_ms).copy(), self.own(query)
        boost_N[own.items_T] += own.boost_T
        return boost_N


class Scorer(NamedTuple):
    """`embeddings_ND` may be memory-mapped and of any float type: it is read in blocks."""

    interests_of: InterestsOf
    embeddings_ND: NDArray[np.floating]
    boosts: Boosts | None = None
    ranker: Ranker | None = None  # of the best items (`redrec.evaluation.contenders`)


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


def with_boosts(
    scorer: Scorer,
    popularity: Popularity,
    weights: Sequence[BoostWeights],
    logit_scale: float,
) -> Scorer:
    """Return the scorer with each scenario's boosts, as in serving."""

    def popular(scenario: int, moment_ms: int) -> NDArray[np.float32]:
        return popularity.lifts(moment_ms, scenario) * np.float32(weights[scenario].popularity / logit_scale)

    def own(query: RankedQuery) -> Own:
        return query.own_boosts(weights[query.scenario], logit_scale)

    return without_seen(scorer._replace(boosts=Boosts(popular, own)), [one.excludes_seen for one in weights])


def without_seen(scorer: Scorer, excludes_S: Sequence[bool]) -> Scorer:
    """Return the scorer without the user's own items in the scenarios that leave them out."""
    none_N = np.zeros(len(scorer.embeddings_ND), np.float32)
    boosts = scorer.boosts or Boosts(lambda scenario, moment_ms: none_N, lambda query: NOTHING)

    def own(query: RankedQuery) -> Own:
        return left_out(query.history) if excludes_S[query.scenario] else boosts.own(query)

    return scorer._replace(boosts=boosts._replace(own=own))
