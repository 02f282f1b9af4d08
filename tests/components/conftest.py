"""One run of the components' own functions on real tiny files, in the order of the pipeline."""

from typing import NamedTuple

import pytest
from kfp import dsl

from components.build_bundle import build_bundle
from components.check_quality import check_quality
from components.evaluate_model import evaluate_model
from components.materialize_features import materialize_features
from components.prepare_data import prepare_data
from components.report_drift import report_drift
from components.train_towers import train_towers
from redrec.datasets.world import World, WorldConfig
from redrec.training.presets import tiny


class Steps(NamedTuple):
    """The artifacts of the steps; their URIs are local paths."""

    data: dsl.Dataset
    model: dsl.Model
    evaluation: dsl.Artifact
    features: dsl.Artifact
    release: dsl.Model
    summary: dsl.Markdown
    report: dsl.HTML
    gate: dsl.Artifact
    gate_summary: dsl.Markdown
    decision: str
    metrics: dict[str, dsl.Metrics]
    feature_hash: str


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    root = tmp_path_factory.mktemp("steps")
    events, items = World(WorldConfig(num_users=120, num_items=180, seed=2)).write(root / "input")
    data, model = dsl.Dataset(uri=str(root / "data")), dsl.Model(uri=str(root / "model"))
    evaluation, features = dsl.Artifact(uri=str(root / "evaluation")), dsl.Artifact(uri=str(root / "features"))
    release, drift = dsl.Model(uri=str(root / "release")), dsl.Artifact(uri=str(root / "drift"))
    summary, report = dsl.Markdown(uri=str(root / "summary.md")), dsl.HTML(uri=str(root / "report.html"))
    gate, gate_summary = dsl.Artifact(uri=str(root / "gate")), dsl.Markdown(uri=str(root / "gate.md"))
    metrics = {
        name: dsl.Metrics(uri=str(root / name)) for name in ("prepare", "train", "evaluate", "materialize", "build")
    }
    recipe = tiny().model_dump_json()

    prepare_data.python_func(str(events), str(items), data, metrics["prepare"], recipe)
    train_towers.python_func(data, model, metrics["train"], recipe)
    evaluate_model.python_func(data, model, evaluation, metrics["evaluate"])
    decision = check_quality.python_func(evaluation, gate, gate_summary)
    feature_hash = materialize_features.python_func(data, features, metrics["materialize"])
    build_bundle.python_func(data, model, evaluation, features, feature_hash, release, metrics["build"])
    report_drift.python_func(data, drift, summary, report, dsl.HTML(uri=str(root / "timeline.html")))
    return Steps(
        data, model, evaluation, features, release, summary, report, gate, gate_summary, decision, metrics, feature_hash
    )
