"""Next ids: no model, only the ten ids after the last item's, to show how much the order of ids in ties gives away.

Shapes: B users, S scenarios, N items of all scenarios, M items of the queried one, K recommended items, D embedding.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redrec.evaluation.scorers import Scorer
from redrec.history import History, Ints

NUM_NEXT = 10
DIM = 128  # random unit vectors of this width have cosines below one half, so only the ten score above .9
WEIGHT_K = 1 - np.arange(NUM_NEXT) / 100


def next_ids(allowed_SN: NDArray[np.bool_]) -> Scorer:
    """Return a scorer of one interest per id, the next id first; after the last id of a scenario comes the first.

    The last item is that in the queried scenario, if there is one; items are numbered in the order of their ids.
    """
    random_ND = np.random.default_rng(0).standard_normal((allowed_SN.shape[1], DIM))
    embeddings_ND = (random_ND / np.linalg.norm(random_ND, axis=1, keepdims=True)).astype(np.float32)

    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        item_M = np.flatnonzero(allowed_SN[scenario])
        last_B = [_last_item(history, scenario) for history in histories]
        first_B1 = np.searchsorted(item_M, last_B, side="right")[:, None]
        next_BK = item_M[(first_B1 + np.arange(NUM_NEXT)) % len(item_M)]
        return WEIGHT_K[:, None] * embeddings_ND[next_BK]

    return Scorer(interests_of, embeddings_ND)


def _last_item(history: History, scenario: int) -> int:
    item_L = history.item_L[history.scenario_L == scenario]
    return int(item_L[-1]) if len(item_L) else int(history.item_L[-1])
