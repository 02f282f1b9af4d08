"""The components' own functions on real tiny files, in the order of the pipeline."""

from pathlib import Path
from typing import NamedTuple

import pytest
from kfp import dsl

from components.build_bundle import build_bundle
from components.evaluate_model import evaluate_model
from components.materialize_features import materialize_features
from components.prepare_data import prepare_data
from components.report_drift import report_drift
from components.train_towers import train_towers
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.datasets.world import World, WorldConfig
from redrec.training.presets import tiny


class Steps(NamedTuple):
    """What the steps wrote: an artifact's uri is its path here."""

    data: dsl.Dataset
    model: dsl.Model
    evaluation: dsl.Artifact
    features: dsl.Artifact
    release: dsl.Model
    summary: dsl.Markdown
    metrics: dict[str, dsl.Metrics]
    feature_hash: str


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    root = tmp_path_factory.mktemp("steps")
    events, items = World(WorldConfig(num_users=120, num_items=180, seed=2)).write(root / "input")
    data, model = dsl.Dataset(uri=str(root / "data")), dsl.Model(uri=str(root / "model"))
    evaluation, features = dsl.Artifact(uri=str(root / "evaluation")), dsl.Artifact(uri=str(root / "features"))
    release, drift = dsl.Model(uri=str(root / "release")), dsl.Artifact(uri=str(root / "drift"))
    summary = dsl.Markdown(uri=str(root / "summary.md"))
    metrics = {
        name: dsl.Metrics(uri=str(root / name)) for name in ("prepare", "train", "evaluate", "materialize", "build")
    }
    recipe = tiny().model_dump_json()

    prepare_data.python_func(str(events), str(items), data, metrics["prepare"], recipe)
    train_towers.python_func(data, model, metrics["train"], recipe)
    evaluate_model.python_func(data, model, evaluation, metrics["evaluate"])
    feature_hash = materialize_features.python_func(data, features, metrics["materialize"])
    build_bundle.python_func(data, model, evaluation, features, feature_hash, release, metrics["build"])
    report_drift.python_func(data, drift, summary)
    return Steps(data, model, evaluation, features, release, summary, metrics, feature_hash)


def test_prepare_data_logs_what_it_kept(steps: Steps):
    logged = steps.metrics["prepare"].metadata
    assert logged["items_kept"] == 180
    assert logged["events_kept"] > 1000
    assert logged["events_quarantined"] == 0


def test_materialize_features_logs_users_and_how_old_the_newest_event_is(steps: Steps):
    logged = steps.metrics["materialize"].metadata
    assert logged["users"] == 120
    assert 120 < logged["written"] <= 3 * 120
    assert logged["age_s"] > 0


def test_train_towers_exports_and_logs_its_loss(steps: Steps):
    assert (Path(steps.model.path) / "export" / "user_tower.onnx").is_file()
    assert steps.metrics["train"].metadata["loss"] > 0


def test_evaluate_model_logs_every_model_in_every_scenario(steps: Steps):
    assert set(steps.metrics["evaluate"].metadata) == {
        f"{scenario}/{model}/hit_rate@10"
        for scenario in ("homefeed", "search", "ads")
        for model in ("redrec", "redrec_without_boost", "popularity", "mean_of_last_n")
    }


def test_a_release_holds_the_bundle_beside_the_features_it_was_built_for(steps: Steps):
    bundle = Bundle.load(Path(steps.release.path) / "bundle")
    assert bundle.manifest.id == steps.release.metadata["bundle_id"]
    assert bundle.manifest.feature_hash == steps.feature_hash
    assert (Path(steps.release.path) / "features" / "online.db").is_file()
    assert min(steps.metrics["build"].metadata.values()) > 0.9


def test_report_drift_summarizes_every_scenario_in_one_file(steps: Steps):
    rows = Path(steps.summary.path).read_text().splitlines()[2:]
    assert {row.split("|")[1].strip() for row in rows} == {"homefeed", "search", "ads"}


def test_a_step_passes_the_input_error_on(tmp_path: Path):
    with pytest.raises(InputError, match=r"does not exist\. Give the path"):
        prepare_data.python_func(
            str(tmp_path / "events.csv"),
            str(tmp_path / "items.csv"),
            dsl.Dataset(uri=str(tmp_path / "data")),
            dsl.Metrics(uri=str(tmp_path / "metrics")),
        )
