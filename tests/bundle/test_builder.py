"""Bundle builder: what a bundle has, what it replaces, and which indexes it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.index.config import IndexConfig
from redrec.index.milvus_config import MilvusConfig
from tests.bundle.runs import build, other_model


def test_a_bundle_has_the_content_of_the_model_and_the_data(built: Bundle):
    run = built.path.parent
    assert np.array_equal(built.embeddings_ND, np.load(run / "model/export/item_embeddings.npy"))
    assert built.item_ids[7] == "item-007" and built.item_index["item-007"] == 7
    assert set(built.fallback) == set(built.manifest.scenarios) == {"homefeed", "search", "ads"}
    assert built.manifest.index.recall == dict.fromkeys(built.manifest.scenarios, 1.0)
    assert built.manifest.index.count == 48


def test_the_fallback_has_only_items_that_the_scenario_may_show(built: Bundle):
    scenarios = dict(zip(built.item_ids, built.items["scenarios"].to_pylist(), strict=True))
    for scenario, items in built.fallback.items():
        assert items and all(scenario in scenarios[item] for item in items)


def test_a_failed_build_leaves_the_old_bundle_and_nothing_else(run: Path, built: Bundle):
    np.save(run / "model/export/item_vectors.npy", np.zeros((47, 12), dtype=np.float16))
    with pytest.raises(InputError, match=r"item_vectors.npy is float16 \(47, 12\), but items.parquet has 48 rows"):
        build(run)
    assert Bundle.load(run / "bundle").manifest.id == built.manifest.id
    assert sorted(path.name for path in run.iterdir()) == ["bundle", "data", "model", "tables"]


def test_a_new_build_replaces_the_old_bundle(run: Path, built: Bundle):
    other_model(run)
    shutil.rmtree(run / "model")
    (run / "other/model").rename(run / "model")
    assert build(run).manifest.id == Bundle.load(run / "bundle").manifest.id != built.manifest.id


def test_a_folder_of_other_files_is_not_overwritten(run: Path):
    (run / "bundle/bundle.json").unlink()
    with pytest.raises(InputError, match="holds other files"):
        build(run)


def test_the_manifest_keeps_the_metrics_it_was_released_with(run: Path):
    metrics = {"scenarios": {"ads": {"redrec": {"hit_rate@10": {"value": 0.5, "low": 0.4, "high": 0.6, "users": 9}}}}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert build(run, metrics=run / "metrics.json").manifest.metrics == metrics


def test_other_users_may_read_a_bundle(built: Bundle):
    """The serving pod runs as a user of its own."""
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in [built.path, *built.path.rglob("*")])


def test_an_index_below_its_minimal_recall_is_refused(run: Path, built: Bundle):
    """With two links per item this index has a recall of about 0.99."""
    hnsw = MilvusConfig(index_type="HNSW", hnsw_m=2, hnsw_ef_construction=1, hnsw_min_ef=1)
    config = IndexConfig(milvus=hnsw, min_recall=1.0)
    with pytest.raises(InputError, match=r"exact search's top 10: .*ads.* allowed is 1\.0 or more"):
        build(run, index=config)
    assert Bundle.load(run / "bundle").manifest.id == built.manifest.id
    recall = build(run, index=config.model_copy(update={"min_recall": 0.9})).manifest.index.recall
    assert all(0.9 <= value < 1 for value in recall.values())


def test_a_bundle_built_in_an_image_names_the_commit_of_the_image(run: Path, monkeypatch: pytest.MonkeyPatch):
    """An image has no git and no checkout."""
    monkeypatch.setenv("REDREC_COMMIT", "4f2a")
    assert build(run).manifest.git_commit == "4f2a"
