"""The served index: a bundle's index is where its manifest says."""

import json
import shutil
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.index.filters import Catalog
from redrec.index.milvus import BundleMismatchError
from redrec.index.server import MilvusServer
from serving.config import ServingConfig
from serving.index import ServerIndex, open_embedded
from tests.bundles import swap, upload
from tests.serving.retrieval import PATIENT, answers, query


def test_an_index_swapped_on_the_server_is_refused_at_start_with_both_ids(
    lite: MilvusServer, bundle: Bundle, other_bundle: Bundle
):
    upload(lite, bundle)
    swap(lite, bundle, other_bundle)
    with pytest.raises(BundleMismatchError, match=f"{bundle.manifest.id}.*{other_bundle.manifest.id}"):
        ServerIndex(bundle, lite)


def test_serving_leaves_a_read_only_bundle_as_it_was(bundle: Bundle, tmp_path: Path):
    folder = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    answers(Bundle.load(folder), lambda retriever: retriever.answer(query()))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_bundle_that_was_verified_on_a_server_names_it_if_none_is_given(bundle: Bundle, tmp_path: Path):
    folder = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["index"]["collection"] = "items_1"
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="is the collection items_1 of a Milvus server. Set REDREC_MILVUS_URI"):
        opened(Bundle.load(folder), PATIENT)


def test_with_a_server_a_small_catalog_is_searched_in_process_too_exactly(bundle: Bundle):
    config = PATIENT.model_copy(update={"milvus": MilvusServer(uri="http://milvus:19530"), "max_exact_items": 48})
    assert opened(bundle, config).clusters is None
    assert opened(bundle, config.model_copy(update={"max_exact_items": 47})) is None


def opened(bundle: Bundle, config: ServingConfig):
    return open_embedded(bundle, Catalog(bundle.items, bundle.item_index), config)
