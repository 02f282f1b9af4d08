"""Bundle builder: what a bundle has, what it replaces, and which indexes it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.folders import BundleFolder
from redrec.hashing import file_hash
from redrec.index.config import EmbeddedConfig, IndexConfig
from redrec.index.embedded import EmbeddedIndex
from redrec.index.exact import NO_ITEM, SearchResult
from tests.bundle.runs import build, other_model
from tests.bundles import hashed_files


def test_a_bundle_has_the_content_of_the_model_and_the_data(built: Bundle):
    run = built.path.parent
    assert np.array_equal(built.embeddings_ND, np.load(run / "model/export/item_embeddings.npy"))
    assert built.item_ids[7] == "item-007" and built.item_index["item-007"] == 7
    assert set(built.fallback) == set(built.manifest.scenarios) == {"homefeed", "search", "ads"}


def test_the_manifest_has_the_figures_of_the_verified_index(built: Bundle):
    index = built.manifest.index
    assert (index.collection, index.count, index.dim) == (None, 48, 8)
    assert 0 < index.max_norm_error < 0.001
    assert {recall.scenario for recall in index.recall} == set(built.manifest.scenarios)
    assert {recall.category for recall in index.recall} > {None, "tools"}
    assert all(recall.recall_at_10 == recall.recall_at_100 == 1 for recall in index.recall)


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


def test_the_files_of_a_new_bundle_are_hashed_once(run: Path, monkeypatch: pytest.MonkeyPatch):
    names = hashed_files(monkeypatch)
    build(run)
    assert sorted(names) == sorted([*BundleFolder.HASHED, "items.parquet"])  # the data's items: the model is of them


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


FEW_READ = IndexConfig(embedded=EmbeddedConfig(max_exact_items=0, lists_share=0.3))


def test_searches_read_as_much_as_the_minimal_recall_takes(run: Path, built: Bundle):
    """With a third of the clusters read, the index has a recall of about 0.7 in each scenario."""
    enough = build(run, index=FEW_READ.model_copy(update={"min_recall": 0.3}))
    assert 0.3 <= min(one.recall_at_10 for one in enough.manifest.index.recall) < 0.95
    assert enough.manifest.index.config.embedded.lists_share == 0.3
    wider = build(run, index=FEW_READ)
    assert min(one.recall_at_10 for one in wider.manifest.index.recall) >= 0.95
    assert wider.manifest.index.config.embedded.lists_share in (0.6, 1.0)
    assert enough.manifest.id == wider.manifest.id == built.manifest.id  # the items are the same


def test_an_index_below_its_minimal_recall_is_refused_when_all_is_read(
    run: Path, built: Bundle, monkeypatch: pytest.MonkeyPatch
):
    """An index that has lost half of its vectors."""
    searches, search = [], EmbeddedIndex.search

    def half(index: EmbeddedIndex, *arguments: Any) -> SearchResult:
        searches.append(index.clusters.config.lists_share)
        scores_QK, items_QK = search(index, *arguments)
        return scores_QK, np.where(items_QK % 2, items_QK, NO_ITEM)

    monkeypatch.setattr(EmbeddedIndex, "search", half)
    said = r"however much a search reads: .*ads.* allowed is 0\.95 or more"
    with pytest.raises(InputError, match=said):
        build(run, index=FEW_READ)
    assert sorted(set(searches)) == [0.3, 0.6, 1.0]
    assert Bundle.load(run / "bundle").manifest.id == built.manifest.id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda embeddings_ND: embeddings_ND[:, :4], r"float16 \(48, 4\); allowed is float16 \(48, 8\)"),
        (lambda embeddings_ND: np.where(np.arange(48)[:, None] == 3, np.nan, embeddings_ND), "item item-003: nan"),
        (lambda embeddings_ND: embeddings_ND * 1.5, r"allowed is an error of 0\.01 \(index\.max_norm_error\)"),
    ],
)
def test_embeddings_that_cannot_be_searched_are_refused_and_the_old_bundle_stays(
    run: Path, built: Bundle, change: Callable, message: str
):
    path = run / "model/export/item_embeddings.npy"
    np.save(path, change(np.load(path)).astype(np.float16))
    with pytest.raises(InputError, match=message):
        build(run)
    assert Bundle.load(run / "bundle").manifest.id == built.manifest.id


def test_a_wider_norm_error_may_be_allowed(run: Path):
    path = run / "model/export/item_embeddings.npy"
    np.save(path, np.load(path) * np.float16(1.25))
    assert build(run, index=IndexConfig(max_norm_error=0.3)).manifest.index.max_norm_error == pytest.approx(0.25, 0.01)


def test_duplicate_item_ids_are_refused(run: Path):
    """Preparing the data refuses them earlier; the model has to fit the table."""
    items = pq.read_table(run / "data/items.parquet")
    ids = [*items["item_id"].to_pylist()[:-1], "item-000"]
    pq.write_table(items.set_column(0, "item_id", pa.array(ids)), run / "data/items.parquet")
    manifest = json.loads((run / "model/model.json").read_text())
    manifest["items_hash"] = file_hash(run / "data/items.parquet")
    (run / "model/model.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"more than once, as \['item-000'\]"):
        build(run)


def test_a_bundle_built_in_an_image_names_the_commit_of_the_image(run: Path, monkeypatch: pytest.MonkeyPatch):
    """An image has no git and no checkout."""
    monkeypatch.setenv("REDREC_COMMIT", "4f2a")
    assert build(run).manifest.git_commit == "4f2a"
