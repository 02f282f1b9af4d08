import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from redrec.bundle.builder import build_bundle
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from tests.bundles import tiny_bundle, write_tiny_model


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def run(built: Bundle, tmp_path: Path) -> Path:
    """A private copy of the run folder: data, model, bundle."""
    shutil.copytree(built.path.parent, tmp_path / "run")
    return tmp_path / "run"


def other_model(run: Path) -> None:
    """Write another model of the same data into `other/model`."""
    shutil.copytree(run / "data", run / "other" / "data")
    write_tiny_model(run / "other", 3, seed=1)


def build(run: Path, **options) -> Bundle:
    return build_bundle(
        run / "data", run / "model", run / "bundle", **{"metrics": None, "feature_hash": "0" * 16} | options
    )


def test_a_bundle_holds_what_the_model_and_the_data_gave(built: Bundle):
    run = built.path.parent
    assert np.array_equal(built.embeddings_ND, np.load(run / "model/export/item_embeddings.npy"))
    assert built.item_ids[7] == "item-007" and built.item_index["item-007"] == 7
    assert set(built.fallback) == set(built.manifest.scenarios) == {"homefeed", "search", "ads"}
    assert built.manifest.index.recall == dict.fromkeys(built.manifest.scenarios, 1.0)
    assert built.manifest.index.count == 48


def test_the_fallback_holds_only_what_the_scenario_may_show(built: Bundle):
    scenarios = dict(zip(built.item_ids, built.items["scenarios"].to_pylist(), strict=True))
    for scenario, items in built.fallback.items():
        assert items and all(scenario in scenarios[item] for item in items)


def test_same_content_has_the_same_id(run: Path, built: Bundle):
    assert build(run).manifest.id == built.manifest.id


@pytest.mark.parametrize("what", ["tower", "embeddings", "history", "popularity_boost_weight"])
def test_other_content_has_another_id(run: Path, built: Bundle, what: str):
    if what in ("history", "popularity_boost_weight"):
        manifest = json.loads((run / "model/model.json").read_text())
        change = {"history": {"max_events_per_scenario": 9}, "popularity_boost_weight": 0.1}[what]
        (run / "model/model.json").write_text(json.dumps(manifest | {what: change}))
    else:
        other_model(run)
        name = {"tower": "user_tower.onnx", "embeddings": "item_embeddings.npy"}[what]
        shutil.copyfile(run / "other/model/export" / name, run / "model/export" / name)
    assert build(run).manifest.id != built.manifest.id


@pytest.mark.parametrize(
    "name", ["user_tower.onnx", "items.parquet", "item_vectors.npy", "item_embeddings.npy", "fallback.json"]
)
def test_a_changed_byte_is_found_and_named(run: Path, name: str):
    file = run / "bundle" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: the manifest says [0-9a-f]{{64}}, found [0-9a-f]{{64}}"):
        Bundle.load(run / "bundle")


def test_a_missing_file_is_named(run: Path):
    (run / "bundle/user_tower.onnx").unlink()
    with pytest.raises(InputError, match=r"user_tower\.onnx: .* found no file"):
        Bundle.load(run / "bundle")


@pytest.mark.parametrize("change", [{"id": "f" * 16}, {"actions": ["buy"]}, {"popularity_boost_weight": 0.1}])
def test_a_manifest_that_names_another_content_is_refused_with_both_ids(run: Path, built: Bundle, change: dict):
    manifest = run / "bundle/bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(InputError, match=r"it calls itself [0-9a-f]{16}, its content is [0-9a-f]{16}"):
        Bundle.load(run / "bundle")


def test_a_file_that_the_manifest_leaves_out_is_not_trusted(run: Path):
    manifest = json.loads((run / "bundle/bundle.json").read_text())
    del manifest["files"]["user_tower.onnx"]
    (run / "bundle/bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"lists .* allowed is .*user_tower\.onnx"):
        Bundle.load(run / "bundle")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path):
    with pytest.raises(InputError, match=r"no bundle: it has no bundle\.json"):
        Bundle.load(tmp_path)


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


def test_a_path_is_not_taken_for_a_milvus_server(run: Path):
    with pytest.raises(InputError, match="http://HOST:PORT"):
        build(run, milvus_uri=str(run / "milvus.db"))


def test_other_users_may_read_a_bundle(built: Bundle):
    """The serving pod runs as a user of its own."""
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in [built.path, *built.path.rglob("*")])
