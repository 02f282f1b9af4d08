"""Step 3: one metric per scenario and model."""

from itertools import product

from tests.components.conftest import Steps


def test_evaluate_model_logs_every_model_in_every_scenario(steps: Steps):
    scenarios = ("homefeed", "search", "ads")
    towers = ("redrec", "redrec_without_ranker", "redrec_without_boosts")
    models = (*towers, "own_counts", "recent_popularity", "popularity", "mean_of_last_n")
    assert set(steps.metrics["evaluate"].metadata) == {
        f"{scenario}/{model}/hit_rate@10" for scenario, model in product(scenarios, models)
    }
