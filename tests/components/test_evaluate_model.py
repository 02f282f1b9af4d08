"""Step 3: one metric per scenario and model."""

from itertools import product
from pathlib import Path

import pytest
from kfp import dsl

from components.evaluate_model import evaluate_model
from tests.components.conftest import Steps


def test_evaluate_model_logs_every_model_in_every_scenario(steps: Steps):
    scenarios = ("homefeed", "search", "ads")
    towers = ("redrec", "redrec_without_ranker", "redrec_without_boosts")
    models = (*towers, "own_counts", "recent_popularity", "popularity", "mean_of_last_n")
    assert set(steps.metrics["evaluate"].metadata) == {
        f"{scenario}/{model}/hit_rate@10" for scenario, model in product(scenarios, models)
    }


def test_a_scenario_without_users_is_not_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It has no value, and KFP takes numbers only."""
    figures = {"ads": {"value": None, "users": 0}, "feed": {"value": 0.0, "users": 1}}
    results = {"scenarios": {name: {"redrec": {"hit_rate@10": figure}} for name, figure in figures.items()}}
    monkeypatch.setattr("redrec.evaluation.evaluate.evaluate", lambda *arguments: results)
    data, model = dsl.Dataset(uri=str(tmp_path / "data")), dsl.Model(uri=str(tmp_path / "model"))
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    evaluate_model.python_func(data, model, dsl.Artifact(uri=str(tmp_path / "evaluation")), metrics)
    assert metrics.metadata == {"feed/redrec/hit_rate@10": 0.0}


def artifacts(folder: Path) -> tuple[dsl.Artifact, dsl.Metrics]:
    return dsl.Artifact(uri=str(folder / "evaluation")), dsl.Metrics(uri=str(folder / "metrics"))


def test_the_live_release_is_measured_beside_the_model(steps: Steps, tmp_path: Path):
    """The live model is the same one here, so its metrics are the same too."""
    evaluation, metrics = artifacts(tmp_path)
    evaluate_model.python_func(steps.data, steps.model, evaluation, metrics, steps.release.path)
    for scenario in ("homefeed", "search", "ads"):
        live, model = (metrics.metadata[f"{scenario}/{name}/hit_rate@10"] for name in ("live", "redrec"))
        assert live == model
