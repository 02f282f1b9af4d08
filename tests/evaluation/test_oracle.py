"""The oracle is a ceiling: on the generated world it beats popularity in every scenario, interval against interval."""

import json

from redrec.data.histories import Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.prepare import read_vocabulary
from redrec.data.world import World
from redrec.evaluation.baselines import popularity
from redrec.evaluation.evaluate import MAX_USERS, measure
from redrec.evaluation.oracle import add_oracle
from redrec.evaluation.ranking import cases_of
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_world


def test_the_oracle_joins_the_metrics_and_beats_popularity(tmp_path):
    data, metrics = write_world(tmp_path), tmp_path / "metrics.json"
    vocabulary, histories = read_vocabulary(data), Histories(data / "histories")
    allowed_SN = is_allowed(data / "items.parquet", vocabulary.scenarios)
    scorer = popularity(train_counts(histories, SMALL_WORLD.num_items, len(vocabulary.scenarios)))
    seed = SMALL_RECIPE.seed
    measured = {
        name: {
            "popularity": measure(
                scorer,
                cases_of(histories, s, SMALL_RECIPE.batch.target_window, MAX_USERS, seed),
                s,
                allowed_SN[s],
                seed,
            )
        }
        for s, name in enumerate(vocabulary.scenarios)
    }
    metrics.write_text(json.dumps({"scenarios": measured}))

    add_oracle(World(SMALL_WORLD), data, metrics, SMALL_RECIPE)

    for models in json.loads(metrics.read_text())["scenarios"].values():
        assert models["oracle"]["hit_rate@10"]["low"] > models["popularity"]["hit_rate@10"]["high"]
        assert models["oracle"]["hit_rate@10"]["users"] == models["popularity"]["hit_rate@10"]["users"]
