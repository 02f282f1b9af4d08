"""A scorer that knows the truth of the generated world, but only reads the homefeed."""

from collections.abc import Sequence

import numpy as np

from redrec.datasets.world import SCENARIOS, World
from redrec.evaluation.scorers import Scorer
from redrec.history import History
from tests.worlds import SMALL_WORLD

HOMEFEED, SEARCH, ADS = range(3)


def homefeed_reader() -> Scorer:
    """Return a scorer with each item's true interest and facet, and a user's interests from the homefeed alone."""
    world = World(SMALL_WORLD)
    interest_NK = np.eye(SMALL_WORLD.num_interests)[world.interest_N]
    is_of_facet_NF = np.eye(len(SCENARIOS))[world.facet_N]
    embeddings_ND = np.hstack([interest_NK, is_of_facet_NF]).astype(np.float32)

    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: np.ndarray) -> np.ndarray:
        shown_BK = [interest_NK[history.item_L[history.scenario_L == HOMEFEED]].sum(0) for history in histories]
        facet_BF = np.tile(np.eye(len(SCENARIOS))[scenario] * 100, (len(histories), 1))
        return np.hstack([shown_BK, facet_BF])[:, None]

    return Scorer(interests_of, embeddings_ND)
