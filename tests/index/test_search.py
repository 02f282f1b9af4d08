"""Index search against exact search, and what it refuses: rows of another bundle, a dropped collection."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from redrec.index.collection_rows import block_rows, upsert
from redrec.index.connection import connect
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import ItemFilter
from redrec.index.milvus import BundleMismatchError, build_collection, collection_name
from redrec.index.milvus_config import MilvusConfig
from redrec.index.recall import score_recall
from redrec.index.search import AsyncItemIndex, IndexUnavailableError, ItemIndex, read_hits
from redrec.index.server import MilvusServer
from tests.index.planted import (
    CATALOG,
    CATEGORIES,
    DIM,
    EMBEDDINGS,
    ITEM_INDEX,
    ITEMS,
    NOON_MS,
    NUM_ITEMS,
    QUERIES,
    SCENARIOS,
    WINDOWED,
    K,
    build,
    is_available,
    items_file,
    random_unit,
    swap,
)
from tests.index.proxy import slow_proxy
from tests.milvus_server import MISSING, is_installed, milvus_server


def until(is_so: Callable[[], bool], limit_s: float = 15) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.2)
    return False


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
def test_a_search_equals_exact_search_under_every_filter(lite: MilvusServer, built: str, item_filter: ItemFilter):
    index = ItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
    scores_QK, items_QK = index.search(QUERIES, K, item_filter)
    index.close()
    exact_QK, exact_items_QK = exact_search(QUERIES, EMBEDDINGS, K, CATALOG.is_allowed(item_filter))
    assert items_QK.tolist() == exact_items_QK.tolist()
    np.testing.assert_allclose(scores_QK, exact_QK, rtol=1e-5)


@pytest.mark.parametrize("name", ["lite", pytest.param("secure", marks=pytest.mark.milvus)])
@pytest.mark.parametrize("moment_ms", [NOON_MS - 2, NOON_MS - 1, NOON_MS, NOON_MS + 1])
def test_a_search_at_a_moment_has_only_items_that_are_available_then(
    name: str, moment_ms: int, request: pytest.FixtureRequest, new_id: Callable[[], str]
):
    server, bundle_id = request.getfixturevalue(name), new_id()
    build(server, bundle_id, MilvusConfig(), items=WINDOWED)
    index = ItemIndex(server, bundle_id, ITEM_INDEX, MilvusConfig())
    items_QK = index.search(QUERIES, NUM_ITEMS, ItemFilter("ads", moment_ms=moment_ms))[1]
    index.close()
    expected = [item for item in range(NUM_ITEMS) if is_available(item, moment_ms)]
    for items_K in items_QK:
        assert sorted(items_K[items_K != NO_ITEM].tolist()) == expected


def test_an_async_search_equals_exact_search(lite: MilvusServer, built: str):
    async def search():
        index = AsyncItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
        result = await index.search(QUERIES, K, ItemFilter(scenario="homefeed"))
        await index.close()
        return result

    is_allowed_N = CATALOG.is_allowed(ItemFilter(scenario="homefeed"))
    assert asyncio.run(search())[1].tolist() == exact_search(QUERIES, EMBEDDINGS, K, is_allowed_N)[1].tolist()


@pytest.mark.parametrize("item_filter", [ItemFilter(), ItemFilter(scenario="Kitchen & Bar")])
def test_rows_swapped_under_a_live_search_are_refused_with_both_ids(
    lite: MilvusServer, built: str, item_filter: ItemFilter
):
    """Also by a search without hits, which has no row to check."""

    async def search():
        index = AsyncItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
        await index.search(QUERIES, K, item_filter)
        swap(lite, built, "bbbb", DIM)
        with pytest.raises(BundleMismatchError, match=f"(?s){built}.*bbbb"):
            await index.search(QUERIES, K, item_filter)
        await index.close()

    asyncio.run(search())


def test_rows_of_another_width_are_refused_as_another_bundle(lite: MilvusServer, built: str):
    async def search():
        index = AsyncItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
        swap(lite, built, "bbbb", DIM // 2)
        with pytest.raises(BundleMismatchError, match=f"(?s){built}.*bbbb"):
            await index.search(QUERIES, K, ItemFilter())
        await index.close()

    asyncio.run(search())


def test_a_dropped_collection_is_unavailable(lite: MilvusServer, built: str):
    async def search():
        index = AsyncItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
        connect(lite).drop_collection(collection_name(built))
        with pytest.raises(IndexUnavailableError):
            await index.search(QUERIES, K, ItemFilter())
        await index.close()

    asyncio.run(search())


async def answers_within(index: AsyncItemIndex, limit_s: float) -> bool:
    """Search again and again, each time as long as a request would wait."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with contextlib.suppress(IndexUnavailableError, TimeoutError):
            await asyncio.wait_for(index.search(QUERIES, K, ItemFilter()), 1)
            return True
        await asyncio.sleep(0.2)
    return False


def test_a_collection_that_the_server_has_no_more_in_memory_is_loaded_again(lite: MilvusServer, built: str):
    """So it is after a restart of Milvus Lite, or when somebody releases it."""

    async def search() -> bool:
        index = AsyncItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
        with contextlib.closing(connect(lite)) as client:
            client.release_collection(collection_name(built))
        with pytest.raises(IndexUnavailableError):
            await index.search(QUERIES, K, ItemFilter())
        try:
            return await answers_within(index, 15)
        finally:
            await index.close()

    assert asyncio.run(search())


@pytest.mark.milvus
@pytest.mark.slow
def test_a_server_that_was_killed_is_used_again_once_it_is_back(tmp_path: Path):
    if not is_installed():
        pytest.skip(MISSING)
    with milvus_server(tmp_path / "milvus") as started:
        server = MilvusServer(uri=f"http://{started.address}")
        build(server, "aaaa", MilvusConfig())

        async def search() -> bool:
            index = AsyncItemIndex(server, "aaaa", ITEM_INDEX, MilvusConfig())
            await index.search(QUERIES, K, ItemFilter())
            started.kill()
            assert not await answers_within(index, 5)
            await asyncio.to_thread(started.start)
            try:
                return await answers_within(index, 150)
            finally:
                await index.close()

        assert asyncio.run(search())


def test_items_added_to_the_live_collection_are_left_out(lite: MilvusServer, built: str):
    known = {item: i for item, i in ITEM_INDEX.items() if i != 2}
    hits = connect(lite).search(
        collection_name(built), data=[EMBEDDINGS[2].astype(np.float32)], limit=3, output_fields=["bundle_id"]
    )
    _, items_QK = read_hits(hits, built, known, 3)
    assert 2 not in items_QK and items_QK[0, 2] == -1


@pytest.mark.milvus
def test_a_search_with_strong_sees_every_write_and_one_with_bounded_does_not_wait_for_it(
    secure: MilvusServer, new_id: Callable[[], str]
):
    """Each round moves an item to the query. `Bounded` sees it within seconds."""
    bundle_id = new_id()
    build(secure, bundle_id, MilvusConfig())
    strong = ItemIndex(secure, bundle_id, ITEM_INDEX, MilvusConfig(consistency="Strong"))
    bounded = ItemIndex(secure, bundle_id, ITEM_INDEX, MilvusConfig(consistency="Bounded"))
    is_seen_by_bounded = []
    for item in range(8):
        query_QD = random_unit(1, seed=100 + item)
        rows = block_rows(bundle_id, ITEMS.slice(item, 1), query_QD, SCENARIOS)
        upsert(strong.client, collection_name(bundle_id), rows, secure.timeout_s)
        is_seen_by_bounded.append(bounded.search(query_QD, 1, ItemFilter())[1].item() == item)
        assert strong.search(query_QD, 1, ItemFilter())[1].item() == item
    assert not all(is_seen_by_bounded)
    assert until(lambda: bounded.search(query_QD, 1, ItemFilter())[1].item() == item)
    strong.close()
    bounded.close()


@pytest.mark.milvus
@pytest.mark.slow
def test_recall_rises_with_ef(secure: MilvusServer, new_id: Callable[[], str]):
    """A poor graph of random vectors, where a short search finds little."""
    num_items, bundle_id = 6_000, new_id()
    ids = [f"i{i}" for i in range(num_items)]
    items = pa.table({"item_id": ids, "category": ["c"] * num_items, "scenarios": [["ads"]] * num_items})
    embeddings_ND, queries_QD = random_unit(num_items, seed=3, dim=32), random_unit(64, seed=4, dim=32)
    poor = MilvusConfig(index_type="HNSW", hnsw_m=4, hnsw_ef_construction=16)
    build_collection(secure, bundle_id, items_file(items), embeddings_ND, ("ads",), poor)
    exact_QK, _ = exact_search(queries_QD, embeddings_ND, 10)
    recalls = []
    for ef in (10, 100, 1000):
        config = poor.model_copy(update={"hnsw_min_ef": ef})
        index = ItemIndex(secure, bundle_id, {item: i for i, item in enumerate(ids)}, config)
        items_QK = index.search(queries_QD, 10, ItemFilter())[1]
        recalls.append(score_recall(items_QK, exact_QK, queries_QD, embeddings_ND))
        index.close()
    assert recalls[0] + 0.1 < recalls[1] < recalls[2] and recalls[2] > 0.9


def test_a_server_that_stops_answering_is_unavailable_in_time(lite: MilvusServer, built: str):
    async def search():
        with slow_proxy(lite) as (server, is_open):
            index = AsyncItemIndex(server, built, ITEM_INDEX, MilvusConfig())
            await index.search(QUERIES, K, ItemFilter())
            is_open.clear()
            begin = time.monotonic()
            with pytest.raises(IndexUnavailableError, match="did not answer within 1 s"):
                await index.search(QUERIES, K, ItemFilter())
            await index.close()
            return time.monotonic() - begin

    assert asyncio.run(search()) < 4
