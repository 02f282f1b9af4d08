"""Shortfall: k items where k exist, also from a server's index that reads a share of the catalog."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.milvus import build_collection
from redrec.index.milvus_config import MilvusConfig
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from redrec.index.shortfall import completed
from tests.index.planted import CATALOG, CATEGORIES, EMBEDDINGS, NOON_MS, QUERIES, K, items_file, random_unit

WIDE, NARROW = ItemFilter("ads"), ItemFilter("homefeed", CATEGORIES[1], tuple(f"i{i}" for i in range(30, 60)))


@pytest.mark.parametrize("item_filter", [WIDE, NARROW, ItemFilter("Kitchen & Bar")])
@pytest.mark.parametrize("num_lost", [0, 1, K])
def test_what_a_search_lacks_comes_from_exact_search(item_filter: ItemFilter, num_lost: int):
    """The narrow filter allows fewer than k items, the last one none."""
    exact = exact_search(QUERIES, EMBEDDINGS, K, CATALOG.is_allowed(item_filter))
    scores_QK, items_QK = (array.copy() for array in exact)
    scores_QK[1, K - num_lost :], items_QK[1, K - num_lost :] = -np.inf, NO_ITEM
    _, whole_QK = completed((scores_QK, items_QK), QUERIES, K, item_filter, CATALOG, EMBEDDINGS)
    for items_K, expected_K in zip(whole_QK, exact[1], strict=True):
        assert items_K[items_K != NO_ITEM].tolist() == expected_K[expected_K != NO_ITEM].tolist()


def test_a_result_that_has_all_items_stays_as_it_is():
    result = exact_search(QUERIES, EMBEDDINGS, K, CATALOG.is_allowed(NARROW))
    assert (result[1] == NO_ITEM).any()
    assert completed(result, QUERIES, K, NARROW, CATALOG, EMBEDDINGS) is result


@pytest.mark.milvus
def test_a_narrow_window_has_k_items_where_the_servers_index_has_fewer(secure: MilvusServer, new_id: Callable[[], str]):
    num_items, bundle_id, config = 3_000, new_id(), MilvusConfig(index_type="IVF_FLAT", ivf_probes=4)
    ids = [f"i{i}" for i in range(num_items)]
    opens_ms = [NOON_MS + i % 60 for i in range(num_items)]
    items = pa.table(
        {
            "item_id": ids,
            "category": ["c"] * num_items,
            "scenarios": [["ads"]] * num_items,
            "available_from": pa.array(opens_ms, pa.timestamp("ms", tz="UTC")),
            "available_until": pa.nulls(num_items, pa.timestamp("ms", tz="UTC")),
        }
    )
    catalog = Catalog(items, {item: i for i, item in enumerate(ids)})
    embeddings_ND = random_unit(num_items, seed=3)
    build_collection(secure, bundle_id, items_file(items), embeddings_ND, ("ads",), config)
    index, item_filter = ItemIndex(secure, bundle_id, catalog.item_index, config), ItemFilter("ads", moment_ms=NOON_MS)
    result = index.search(QUERIES, 40, item_filter)
    index.close()
    assert (result[1] == NO_ITEM).any()
    _, items_QK = completed(result, QUERIES, 40, item_filter, catalog, embeddings_ND)
    assert items_QK.tolist() == exact_search(QUERIES, embeddings_ND, 40, catalog.is_allowed(item_filter))[1].tolist()
