"""The oracle is a ceiling: on the generated world it beats popularity in every scenario, interval against interval."""

import json

from redrec.data.histories import TEST, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.datasets.world import World
from redrec.evaluation.baselines import popularity
from redrec.evaluation.cases import MAX_USERS, cases_of
from redrec.evaluation.evaluate import measure
from redrec.evaluation.oracle import add_oracle
from redrec.evaluation.ranking import rank_cases
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_world


def test_the_oracle_joins_the_metrics_and_beats_popularity(tmp_path):
    data, metrics = write_world(tmp_path), tmp_path / "metrics.json"
    vocabulary, histories = read_vocabulary(data), Histories(data)
    allowed_SN = is_allowed(data / "items.parquet", vocabulary.scenarios)
    scorer = popularity(train_counts(histories, SMALL_WORLD.num_items, len(vocabulary.scenarios)))
    seed, measured = SMALL_RECIPE.seed, {}
    for s, name in enumerate(vocabulary.scenarios):
        cases = cases_of(histories, s, TEST, SMALL_RECIPE.evaluation.num_targets, MAX_USERS, seed)
        measured[name] = {"popularity": measure(rank_cases(scorer, histories, cases, s, allowed_SN[s]), seed)}
    metrics.write_text(json.dumps({"scenarios": measured}))

    add_oracle(World(SMALL_WORLD), data, metrics, SMALL_RECIPE.evaluation.num_targets, seed)

    for models in json.loads(metrics.read_text())["scenarios"].values():
        assert models["oracle"]["hit_rate@10"]["low"] > models["popularity"]["hit_rate@10"]["high"]
        assert models["oracle"]["hit_rate@10"]["users"] == models["popularity"]["hit_rate@10"]["users"]
