import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from redrec.config import InputError
from redrec.index import milvus
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.milvus import (
    AsyncItemIndex,
    BundleMismatchError,
    IndexConfig,
    IndexUnavailableError,
    ItemIndex,
    build_collection,
    check_server_uri,
    collection_name,
    connect,
    release_embedded,
)
from redrec.index.recall import recall_by_scenario

NUM_ITEMS, DIM, K = 60, 8, 10
SCENARIOS = ("homefeed", "ads", "Kitchen & Bar")  # the last shows nothing
CATEGORIES = ('a"b', "c\\d", "Küche", "two\nlines", "it's", '") or item_id != ("')
ITEMS = pa.table(
    {
        "item_id": [f'"{i}\\' if i % 5 == 0 else f"i{i}" for i in range(NUM_ITEMS)],
        "category": [*(CATEGORIES[i % 6] for i in range(NUM_ITEMS - 1)), None],
        "scenarios": [["ads"] if i % 4 == 0 else ["homefeed", "ads"] for i in range(NUM_ITEMS)],
    }
)
ITEM_INDEX = {item: i for i, item in enumerate(ITEMS["item_id"].to_pylist())}
CATALOG = Catalog(ITEMS, ITEM_INDEX)


def random_unit(num: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(num, DIM)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


EMBEDDINGS = random_unit(NUM_ITEMS, seed=0).astype(np.float16)
QUERIES = random_unit(3, seed=1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "milvus.db"
    build_collection(str(path), "aaaa", ITEMS, EMBEDDINGS, SCENARIOS, IndexConfig())
    release_embedded(path)
    return path


@pytest.fixture
def uri(built: Path, tmp_path: Path):
    path = tmp_path / "milvus.db"
    shutil.copytree(built, path)
    connect(str(path)).load_collection(collection_name("aaaa"))  # reopening leaves it released
    yield str(path)
    release_embedded(path)


@pytest.mark.parametrize(
    "item_filter",
    [
        ItemFilter(),
        ItemFilter(scenario="homefeed"),
        ItemFilter(scenario="Kitchen & Bar"),
        ItemFilter(exclude_ids=tuple(ITEM_INDEX)[:30]),
        *(ItemFilter(scenario="ads", category=category) for category in CATEGORIES),
    ],
)
def test_milvus_finds_what_exact_search_finds_under_every_filter(uri: str, item_filter: ItemFilter):
    index = ItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
    scores_QK, items_QK = index.search(QUERIES, K, item_filter)
    index.close()
    exact_QK, exact_items_QK = exact_search(QUERIES, EMBEDDINGS, K, CATALOG.is_allowed(item_filter))
    assert items_QK.tolist() == exact_items_QK.tolist()
    np.testing.assert_allclose(scores_QK, exact_QK, rtol=1e-5)


def test_async_search_finds_the_same(uri: str):
    async def search():
        index = AsyncItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
        found = await index.search(QUERIES, K, ItemFilter(scenario="homefeed"))
        await index.close()
        return found

    is_allowed_N = CATALOG.is_allowed(ItemFilter(scenario="homefeed"))
    assert asyncio.run(search())[1].tolist() == exact_search(QUERIES, EMBEDDINGS, K, is_allowed_N)[1].tolist()


def test_hnsw_is_built_as_named_and_has_its_recall(tmp_path: Path):
    path = tmp_path / "milvus.db"
    config = IndexConfig(index_type="HNSW", hnsw_m=8, hnsw_ef_construction=100, hnsw_min_ef=64)
    build_collection(str(path), "aaaa", ITEMS, EMBEDDINGS, SCENARIOS, config)
    index = ItemIndex(str(path), "aaaa", ITEM_INDEX, config)
    assert index.client.describe_index(collection_name("aaaa"), "embedding")["index_type"] == "HNSW"
    assert min(recall_by_scenario(index, CATALOG, EMBEDDINGS, ["homefeed", "ads"]).values()) > 0.95
    release_embedded(path)


def test_recall_sees_an_index_of_other_vectors(tmp_path: Path):
    """The negative control: chance is 10 of 60."""
    path = tmp_path / "milvus.db"
    build_collection(str(path), "aaaa", ITEMS, random_unit(NUM_ITEMS, seed=5), SCENARIOS, IndexConfig())
    index = ItemIndex(str(path), "aaaa", ITEM_INDEX, IndexConfig())
    assert recall_by_scenario(index, CATALOG, EMBEDDINGS, ["ads"])["ads"] < 0.35
    release_embedded(path)


def test_items_of_equal_content_do_not_cost_recall(tmp_path: Path):
    path, twins_ND = tmp_path / "milvus.db", np.repeat(EMBEDDINGS[:3], 20, axis=0)
    build_collection(str(path), "aaaa", ITEMS, twins_ND, SCENARIOS, IndexConfig())
    index = ItemIndex(str(path), "aaaa", ITEM_INDEX, IndexConfig())
    assert recall_by_scenario(index, CATALOG, twins_ND, ["ads"]) == {"ads": 1.0}
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


@pytest.mark.parametrize("item_filter", [ItemFilter(), ItemFilter(scenario="Kitchen & Bar")])
def test_rows_swapped_under_a_live_search_are_refused_with_both_ids(uri: str, item_filter: ItemFilter):
    """Also by a search that finds nothing, whose hits could not tell."""

    async def search():
        index = AsyncItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
        await index.search(QUERIES, K, item_filter)
        swap(uri, "aaaa", "bbbb", DIM)
        with pytest.raises(BundleMismatchError, match=r"(?s)aaaa.*bbbb"):
            await index.search(QUERIES, K, item_filter)
        await index.close()

    asyncio.run(search())


def test_rows_of_another_width_are_refused_as_another_bundle(uri: str):
    async def search():
        index = AsyncItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
        swap(uri, "aaaa", "bbbb", DIM // 2)
        with pytest.raises(BundleMismatchError, match=r"(?s)aaaa.*bbbb"):
            await index.search(QUERIES, K, ItemFilter())
        await index.close()

    asyncio.run(search())


def test_a_dropped_collection_is_unavailable(uri: str):
    async def search():
        index = AsyncItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
        connect(uri).drop_collection(collection_name("aaaa"))
        with pytest.raises(IndexUnavailableError):
            await index.search(QUERIES, K, ItemFilter())
        await index.close()

    asyncio.run(search())


def test_items_added_to_the_live_collection_are_left_out(uri: str):
    known = {item: i for item, i in ITEM_INDEX.items() if i != 2}
    hits = connect(uri).search(
        collection_name("aaaa"), data=[EMBEDDINGS[2].astype(np.float32)], limit=3, output_fields=["bundle_id"]
    )
    _, items_QK = milvus.read_hits(hits, "aaaa", known, 3)
    assert 2 not in items_QK and items_QK[0, 2] == -1


def test_only_a_server_uri_is_a_server_uri():
    assert check_server_uri("http://milvus:19530") == "http://milvus:19530"
    for uri in ("milvus.db", "/tmp/milvus.db", "file:///etc/passwd", "http://"):
        with pytest.raises(InputError, match="http://HOST:PORT"):
            check_server_uri(uri)


def test_a_closed_port_is_named(unused_port: int):
    with pytest.raises(InputError, match=f"127.0.0.1:{unused_port} cannot be opened"):
        connect(f"http://127.0.0.1:{unused_port}")


def swap(uri: str, bundle_id: str, other_id: str, dim: int) -> None:
    """Put another bundle's rows under this bundle's name."""
    client = connect(uri)
    client.drop_collection(collection_name(bundle_id))
    build_collection(uri, other_id, ITEMS, EMBEDDINGS[:, :dim], SCENARIOS, IndexConfig())
    client.rename_collection(collection_name(other_id), collection_name(bundle_id))
    client.load_collection(collection_name(bundle_id))
    client.close()


def test_the_expression_quotes_what_it_is_given():
    expression = ItemFilter(category='") or item_id != ("').expression()
    assert expression == f"category == {json.dumps(CATEGORIES[5])}"
