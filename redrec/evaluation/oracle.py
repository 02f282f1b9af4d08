"""Oracle: the ceiling of a generated world, measured on the very users and targets the models were measured on."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data import columns as c
from redrec.data.histories import Histories
from redrec.data.items import is_allowed
from redrec.data.prepare import read_vocabulary
from redrec.data.world import SCENARIOS, World
from redrec.evaluation.evaluate import MAX_USERS, measure
from redrec.evaluation.ranking import Scorer, cases_of
from redrec.recipe import Recipe


def oracle(world: World, data: Path) -> Scorer:
    """Return the scorer that knows each user's interests at the end and the true probability of every item."""
    user_ids = Histories(data / "histories").user_ids
    user_U = np.searchsorted(world.user_ids(), user_ids)
    item_ids = pq.read_table(data / "items.parquet", columns=[c.ITEM_ID])[c.ITEM_ID].to_pylist()
    item_N = np.searchsorted(world.item_ids(), item_ids)
    scenarios = [SCENARIOS.index(name) for name in read_vocabulary(data).scenarios]

    def scores(users: Sequence[int], scenario: int) -> NDArray[np.floating]:
        shown_B = world.identity_FU[scenarios[scenario]][user_U[list(users)]]
        return world.item_probabilities(world.after_UK[shown_B], scenarios[scenario])[:, item_N]

    return scores


def add_oracle(world: World, data: Path, metrics: Path, recipe: Recipe) -> None:
    """Add the model `oracle` to a metrics file that was measured on `data`."""
    content = json.loads(metrics.read_text())
    vocabulary, histories = read_vocabulary(data), Histories(data / "histories")
    allowed_SN = is_allowed(data / "items.parquet", vocabulary.scenarios)
    scorer = oracle(world, data)
    for s, name in enumerate(vocabulary.scenarios):
        cases = cases_of(histories, s, recipe.batch.target_window, MAX_USERS, recipe.seed)
        content["scenarios"][name]["oracle"] = measure(scorer, cases, s, allowed_SN[s], recipe.seed)
    metrics.write_text(json.dumps(content, indent=1))
