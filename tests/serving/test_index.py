"""The served index: a path is no server, a swapped index is refused, and the bundle stays as it is."""

from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.index.milvus import BundleMismatchError
from serving.index import ServedIndex
from tests.serving.retrieval import answers, query


def test_an_index_swapped_on_disk_is_refused_at_start_with_both_ids(
    swapped: Path, bundle: Bundle, other_bundle: Bundle
):
    with pytest.raises(BundleMismatchError, match=f"{bundle.manifest.id}.*{other_bundle.manifest.id}"):
        ServedIndex(Bundle.load(swapped), None)


def test_serving_leaves_the_bundle_as_it_was(bundle: Bundle):
    before = {path: path.stat().st_mtime_ns for path in bundle.path.rglob("*")}
    answers(bundle, lambda retriever: retriever.answer(query()))
    assert {path: path.stat().st_mtime_ns for path in bundle.path.rglob("*")} == before
