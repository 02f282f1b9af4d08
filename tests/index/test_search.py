"""Index search against exact search, and what it refuses: rows of another bundle, a dropped collection."""

import asyncio

import numpy as np
import pytest

from redrec.index.config import IndexConfig
from redrec.index.exact import exact_search
from redrec.index.filters import ItemFilter
from redrec.index.milvus import BundleMismatchError, collection_name, connect
from redrec.index.search import AsyncItemIndex, IndexUnavailableError, ItemIndex, read_hits
from tests.index.planted import CATALOG, CATEGORIES, DIM, EMBEDDINGS, ITEM_INDEX, QUERIES, K, swap


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
def test_a_search_equals_exact_search_under_every_filter(uri: str, item_filter: ItemFilter):
    index = ItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
    scores_QK, items_QK = index.search(QUERIES, K, item_filter)
    index.close()
    exact_QK, exact_items_QK = exact_search(QUERIES, EMBEDDINGS, K, CATALOG.is_allowed(item_filter))
    assert items_QK.tolist() == exact_items_QK.tolist()
    np.testing.assert_allclose(scores_QK, exact_QK, rtol=1e-5)


def test_an_async_search_equals_exact_search(uri: str):
    async def search():
        index = AsyncItemIndex(uri, "aaaa", ITEM_INDEX, IndexConfig())
        result = await index.search(QUERIES, K, ItemFilter(scenario="homefeed"))
        await index.close()
        return result

    is_allowed_N = CATALOG.is_allowed(ItemFilter(scenario="homefeed"))
    assert asyncio.run(search())[1].tolist() == exact_search(QUERIES, EMBEDDINGS, K, is_allowed_N)[1].tolist()


@pytest.mark.parametrize("item_filter", [ItemFilter(), ItemFilter(scenario="Kitchen & Bar")])
def test_rows_swapped_under_a_live_search_are_refused_with_both_ids(uri: str, item_filter: ItemFilter):
    """Also by a search without hits, which has no row to check."""

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
    _, items_QK = read_hits(hits, "aaaa", known, 3)
    assert 2 not in items_QK and items_QK[0, 2] == -1
