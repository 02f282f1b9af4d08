"""Milvus: what the real server builds, which collections are refused, and what is left of a build that was stopped."""

from collections.abc import Callable

import pytest
from pymilvus import MilvusClient

from redrec.config import InputError
from redrec.index.connection import connect
from redrec.index.filters import ItemFilter
from redrec.index.milvus import BundleMismatchError, build_collection, collection_name
from redrec.index.milvus_config import IndexType, MilvusConfig
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from tests.faults import killed_at
from tests.index.planted import EMBEDDINGS, ITEM_INDEX, QUERIES, build, items_file

ON_SERVER = pytest.mark.milvus


def index_of(server: MilvusServer, bundle_id: str, config: MilvusConfig | None = None) -> ItemIndex:
    return ItemIndex(server, bundle_id, ITEM_INDEX, config or MilvusConfig())


@ON_SERVER
@pytest.mark.slow
@pytest.mark.parametrize("index_type", ["FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"])
def test_every_allowed_index_is_built_as_named(secure: MilvusServer, new_id: Callable, index_type: IndexType):
    bundle_id, config = new_id(), MilvusConfig(index_type=index_type)
    build(secure, bundle_id, config)
    index = index_of(secure, bundle_id, config)
    described = index.client.describe_index(collection_name(bundle_id), "embedding")
    assert (described["index_type"], described["metric_type"], described["state"]) == (index_type, "IP", "Finished")
    index.close()


def test_a_collection_with_another_index_than_its_bundle_says_is_refused(lite: MilvusServer, built: str):
    with pytest.raises(InputError, match="has the index FLAT, not HNSW"):
        index_of(lite, built, MilvusConfig(index_type="HNSW"))


def test_a_collection_under_another_bundles_name_is_refused_with_both_ids(lite: MilvusServer, built: str):
    connect(lite).rename_collection(collection_name(built), collection_name("bbbb"))
    with pytest.raises(BundleMismatchError, match=f"(?s)bbbb.*{built}"):
        index_of(lite, "bbbb")


def test_an_index_that_has_only_another_bundle_is_refused_with_both_ids(lite: MilvusServer, built: str):
    with pytest.raises(BundleMismatchError, match=f"(?s)bbbb.*{built}"):
        index_of(lite, "bbbb")


def test_an_incomplete_collection_is_refused_with_both_counts(lite: MilvusServer, built: str):
    connect(lite).delete(collection_name(built), ids=["i1"])
    with pytest.raises(InputError, match="59 rows, its bundle 60 items"):
        index_of(lite, built)


def test_building_again_mends_a_broken_collection_and_keeps_a_good_one(lite: MilvusServer, built: str):
    connect(lite).delete(collection_name(built), ids=["i1"])
    build(lite, built, MilvusConfig())
    index_of(lite, built).close()
    # The same id means the same content, so there is nothing to do.
    build(lite, built, MilvusConfig(), -EMBEDDINGS)
    assert index_of(lite, built).search(QUERIES, 1, ItemFilter())[0].min() > 0


def test_too_many_scenarios_are_refused(lite: MilvusServer):
    with pytest.raises(InputError, match="51 scenarios; an index has at most 50"):
        build_collection(lite, "bbbb", items_file(), EMBEDDINGS, tuple(map(str, range(51))), MilvusConfig())


@ON_SERVER
@pytest.mark.slow
@pytest.mark.parametrize("call", ["upsert", "flush", "create_index", "load_collection"])
def test_a_killed_build_leaves_the_live_collection_and_is_completed(secure: MilvusServer, new_id: Callable, call: str):
    """Before the insert, after it, before the index and after it."""
    live, new = new_id(), new_id()
    build(secure, live, MilvusConfig())
    assert killed_at(f"pymilvus.MilvusClient.{call}", build, secure, new, MilvusConfig())
    answers = index_of(secure, live)
    assert answers.search(QUERIES, 1, ItemFilter())[0].min() > 0
    answers.close()
    build(secure, new, MilvusConfig())
    index_of(secure, new).close()


@ON_SERVER
def test_a_build_whose_index_does_not_grow_ends_with_what_to_do(
    secure: MilvusServer, new_id: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("redrec.index.milvus.STALLED_S", 0)
    monkeypatch.setattr(MilvusClient, "describe_index", lambda *_, **__: {"state": "InProgress", "indexed_rows": 0})
    with pytest.raises(InputError, match="has 0 of 60 rows.*logs of Milvus"):
        build(secure, new_id(), MilvusConfig())
