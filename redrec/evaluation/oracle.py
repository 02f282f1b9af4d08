"""Oracle: the ceiling of a generated world, measured on the same users and targets as the models.

The oracle scores as a model does: a user's interest is their true preference, an item's embedding is its probability
for each interest, so the score is the true probability of the next action.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from redrec.data import columns as c
from redrec.data.histories import TEST, Histories
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.datasets.world import SCENARIOS, World
from redrec.evaluation.cases import MAX_USERS, cases_of, padded_targets
from redrec.evaluation.evaluate import measure
from redrec.evaluation.ranking import rank_targets
from redrec.folders import DataFolder, read_json, write_json


def add_oracle(world: World, data: Path, metrics: Path, num_targets: int, seed: int) -> None:
    """Add the model `oracle` to a metrics file that was measured on `data` with the same window and seed."""
    content = read_json(metrics)
    vocabulary, histories = read_vocabulary(data), Histories(data)
    allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios)
    user_U = np.searchsorted(world.user_ids(), histories.user_ids)
    item_ids = pq.read_table(DataFolder(data).items, columns=[c.ITEM_ID])[c.ITEM_ID].to_pylist()
    item_N = np.searchsorted(world.item_ids(), item_ids)
    for s, name in enumerate(vocabulary.scenarios):
        cases = cases_of(histories, s, TEST, num_targets, MAX_USERS, seed)
        facet = SCENARIOS.index(name)
        shown_B = world.identity_FU[facet][user_U[[case.user for case in cases]]]
        probability_KN = world.item_probabilities(np.eye(world.config.num_interests), facet)[:, item_N]
        seen = [case.known(histories).item_L for case in cases]
        interests_B1K = world.after_UK[shown_B][:, None]
        ranks = rank_targets(interests_B1K, probability_KN.T, padded_targets(cases), seen, allowed_SN[s])
        content["scenarios"][name]["oracle"] = measure(ranks, seed)
    write_json(metrics, content)
