"""Milvus: what is built, and which collections are refused."""

from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.index.config import IndexConfig
from redrec.index.filters import ItemFilter
from redrec.index.milvus import (
    BundleMismatchError,
    build_collection,
    check_server_uri,
    client_options,
    collection_name,
    connect,
    release_embedded,
)
from redrec.index.recall import measure_recall
from redrec.index.search import ItemIndex
from tests.index.planted import CATALOG, EMBEDDINGS, ITEM_INDEX, ITEMS, QUERIES, SCENARIOS


def test_hnsw_is_built_as_named_and_has_its_recall(tmp_path: Path):
    path = tmp_path / "milvus.db"
    config = IndexConfig(index_type="HNSW", hnsw_m=8, hnsw_ef_construction=100, hnsw_min_ef=64)
    build_collection(str(path), "aaaa", ITEMS, EMBEDDINGS, SCENARIOS, config)
    index = ItemIndex(str(path), "aaaa", ITEM_INDEX, config)
    assert index.client.describe_index(collection_name("aaaa"), "embedding")["index_type"] == "HNSW"
    recalls = measure_recall(index, CATALOG, EMBEDDINGS, ["homefeed", "ads"])
    assert min(recall.recall_at_10 for recall in recalls) > 0.95
    release_embedded(path)


def test_a_collection_with_another_index_than_its_bundle_says_is_refused(uri: str):
    with pytest.raises(InputError, match="has the index FLAT, not HNSW"):
        ItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig(index_type="HNSW"))


def test_the_parameters_of_hnsw_reach_its_build_and_its_searches():
    config = IndexConfig(index_type="HNSW", hnsw_m=8, hnsw_ef_construction=100, hnsw_min_ef=64)
    assert config.build_params == {"M": 8, "efConstruction": 100}
    assert (config.search_params(10), config.search_params(100)) == ({"ef": 64}, {"ef": 100})
    assert IndexConfig().build_params == IndexConfig().search_params(10) == {}


def test_an_unknown_index_type_is_refused():
    """Milvus Lite would take it silently, and scan."""
    with pytest.raises(ValueError, match="'FLAT' or 'HNSW'"):
        IndexConfig(index_type="IVF_PQ")


def test_a_collection_under_another_bundles_name_is_refused_with_both_ids(uri: str):
    client = connect(uri)
    client.rename_collection(collection_name("aaaa"), collection_name("bbbb"))
    with pytest.raises(BundleMismatchError, match=r"(?s)bbbb.*aaaa"):
        ItemIndex(uri, "bbbb", ITEM_INDEX, IndexConfig())


def test_an_index_that_has_only_another_bundle_is_refused_with_both_ids(uri: str):
    with pytest.raises(BundleMismatchError, match=r"(?s)bbbb.*aaaa"):
        ItemIndex(uri, "bbbb", ITEM_INDEX, IndexConfig())


def test_an_incomplete_collection_is_refused_with_both_counts(uri: str):
    connect(uri).delete(collection_name("aaaa"), ids=["i1"])
    with pytest.raises(InputError, match="59 rows, its bundle 60 items"):
        ItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())


def test_building_again_mends_a_broken_collection_and_keeps_a_good_one(uri: str):
    connect(uri).delete(collection_name("aaaa"), ids=["i1"])
    build_collection(uri, "aaaa", ITEMS, EMBEDDINGS, SCENARIOS, IndexConfig())
    ItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig()).close()
    # The same id means the same content, so there is nothing to do.
    build_collection(uri, "aaaa", ITEMS, -EMBEDDINGS, SCENARIOS, IndexConfig())
    assert ItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig()).search(QUERIES, 1, ItemFilter())[0].min() > 0


def test_only_a_server_uri_is_a_server_uri():
    assert check_server_uri("http://milvus:19530") == "http://milvus:19530"
    for uri in ("milvus.db", "/tmp/milvus.db", "file:///etc/passwd", "http://"):
        with pytest.raises(InputError, match="http://HOST:PORT"):
            check_server_uri(uri)


def test_a_closed_port_is_named(unused_port: int):
    with pytest.raises(InputError, match=f"127.0.0.1:{unused_port} cannot be opened"):
        connect(f"http://127.0.0.1:{unused_port}")


def test_the_embedded_server_gets_no_pings_since_it_logs_them_as_too_many():
    assert client_options("/run/milvus.db") == {"grpc_options": {"grpc.keepalive_time_ms": 2**31 - 1}}
    assert client_options("http://milvus:19530") == {}
