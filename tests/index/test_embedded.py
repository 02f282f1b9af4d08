"""The embedded index gives the items of exact search, in one matrix product and in clusters, for every filter and boost."""

from collections.abc import Sequence
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pytest

from redrec.index import embedded
from redrec.index.boosted import Boosted
from redrec.index.config import EmbeddedConfig
from redrec.index.embedded import SEARCHES_AT_ONCE, EmbeddedIndex, Search
from redrec.index.exact import ExactSearch, SearchResult, exact_search_each
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import Merged, merge_max
from redrec.index.popularity_boost import PopularItems
from redrec.model.boosts import Own

N, D, K = 600, 16, 25
RARE = 40  # items of the category that few have, below `FEW_SHARE` of the catalog
OPENS_MS, TIME = 1_767_268_800_000, pa.timestamp("ms", tz="UTC")
RNG = np.random.default_rng(0)
ITEMS = pa.table(
    {
        "item_id": [f"i{i}" for i in range(N)],
        "category": ["rare" if i % 15 == 0 else f"c{i % 2}" for i in range(N)],
        "scenarios": [["ads", "search"] if i % 4 else ["search"] for i in range(N)],
        "available_from": pa.array([OPENS_MS if i % 5 == 1 else None for i in range(N)], TIME),
        "available_until": pa.array([OPENS_MS if i % 5 == 2 else None for i in range(N)], TIME),
    }
)
CATALOG = Catalog(ITEMS, {item: i for i, item in enumerate(ITEMS["item_id"].to_pylist())})
SEEN = tuple(f"i{i}" for i in range(0, N, 7))
FILTERS = [
    ItemFilter(),
    ItemFilter("ads"),
    ItemFilter("ads", "c1"),
    ItemFilter("ads", "rare"),
    ItemFilter("search", None, SEEN),
    ItemFilter("ads", "rare", SEEN),
    ItemFilter("ads", "no such category"),
    ItemFilter("no such scenario"),
    ItemFilter("ads", moment_ms=OPENS_MS - 1),
    ItemFilter("ads", "rare", SEEN, OPENS_MS),
]


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


EMBEDDINGS = unit(RNG.normal(size=(N, D))).astype(np.float16)
QUERIES = unit(RNG.normal(size=(3, D)))
WAYS = {"exact": EmbeddedConfig(), "clusters": EmbeddedConfig(max_exact_items=N - 1, lists_share=1.0)}


@pytest.fixture(scope="module", params=WAYS)
def index(request: pytest.FixtureRequest) -> EmbeddedIndex:
    return EmbeddedIndex(EMBEDDINGS, CATALOG, WAYS[request.param])


def boosted(num_popular: int, num_own: int) -> Boosted:
    rng = np.random.default_rng(num_popular + num_own)
    items_T = np.sort(rng.choice(N, num_popular, replace=False))
    boost_N = np.zeros(N, np.float32)
    boost_N[items_T] = rng.exponential(0.3, num_popular)
    popular = PopularItems(boost_N, items_T, EMBEDDINGS[items_T].astype(np.float32)) if num_popular else None
    own_T = np.sort(rng.choice(N, num_own, replace=False))
    return Boosted(popular, Own(own_T, rng.exponential(0.5, num_own).astype(np.float32)))


def full_sort(k: int, item_filter: ItemFilter, boosts: Boosted) -> Merged:
    """The same list a second way: every score, sorted."""
    scores_QN = QUERIES @ EMBEDDINGS.astype(np.float32).T + boosts.of_all(N)
    allowed = [i for i in range(N) if fits(i, item_filter)]
    return merge_max(scores_QN[:, allowed], np.tile(np.array(allowed, np.int64), (3, 1)), k)


def fits(item: int, item_filter: ItemFilter) -> bool:
    return (
        item_filter.scenario in (None, *ITEMS["scenarios"][item].as_py())
        and item_filter.category in (None, ITEMS["category"][item].as_py())
        and ITEMS["item_id"][item].as_py() not in item_filter.exclude_ids
        and (item_filter.moment_ms is None or item % 5 != (1 if item_filter.moment_ms < OPENS_MS else 2))
    )


@pytest.mark.parametrize("item_filter", FILTERS)
@pytest.mark.parametrize("boosts", [boosted(0, 0), boosted(90, 0), boosted(0, 30), boosted(90, 30)])
def test_the_results_are_those_of_a_full_sort_for_every_filter_and_boost(
    index: EmbeddedIndex, item_filter: ItemFilter, boosts: Boosted
):
    results = merge_max(*index.search(QUERIES, K, item_filter, boosts), K)
    expected = full_sort(K, item_filter, boosts)
    assert results.items_K.tolist() == expected.items_K.tolist()
    assert results.interests_K.tolist() == expected.interests_K.tolist()
    np.testing.assert_allclose(results.scores_K, expected.scores_K, atol=1e-5)


def test_several_searches_at_once_have_the_results_that_each_has_alone(index: EmbeddedIndex):
    """Of all filters, with few and many queries, with and without boosts; also more than share a pass."""
    searches = [
        Search(QUERIES[: 1 + number % 3], K - number, item_filter, boosted(9 * number, number))
        for number, item_filter in enumerate(FILTERS)
    ]
    for search, (scores_QK, items_QK) in zip(searches, index.search_each(searches), strict=True):
        alone_QK, items_alone_QK = index.search(*search)
        np.testing.assert_allclose(scores_QK, alone_QK, atol=1e-6)
        assert items_QK.tolist() == items_alone_QK.tolist()
    assert len(searches) > SEARCHES_AT_ONCE and index.search_each([]) == []


def test_one_pass_over_the_items_serves_several_searches(monkeypatch: pytest.MonkeyPatch):
    index, passes = EmbeddedIndex(EMBEDDINGS, CATALOG, WAYS["exact"]), []

    def counted(searches: Sequence[ExactSearch], embeddings_ND: np.ndarray) -> list[SearchResult]:
        passes.append(len(searches))
        return exact_search_each(searches, embeddings_ND)

    monkeypatch.setattr(embedded, "exact_search_each", counted)
    index.search_each([Search(QUERIES, K, FILTERS[1])] * (SEARCHES_AT_ONCE + 3))
    assert passes == [SEARCHES_AT_ONCE, 3]


@pytest.mark.parametrize("k", [1, RARE, N])
@pytest.mark.parametrize("item_filter", FILTERS)
def test_k_items_come_back_where_k_exist_though_one_cluster_is_read(k: int, item_filter: ItemFilter):
    index = EmbeddedIndex(EMBEDDINGS, CATALOG, EmbeddedConfig(max_exact_items=0, lists_share=1e-9))
    scores_QK, items_QK = index.search(QUERIES, k, item_filter)
    num_allowed = sum(fits(i, item_filter) for i in range(N))
    assert items_QK.shape == (3, min(k, num_allowed)) and (items_QK >= 0).all()
    assert all(fits(i, item_filter) for i in items_QK.ravel().tolist())
    assert (np.diff(scores_QK) <= 0).all()


def test_a_query_that_reads_one_cluster_misses_items():
    """The negative control of the tests above: their clusters are read."""
    index = EmbeddedIndex(EMBEDDINGS, CATALOG, EmbeddedConfig(max_exact_items=0, lists_share=1e-9))
    results = index.search(QUERIES, 5, ItemFilter())[1]
    exact = EmbeddedIndex(EMBEDDINGS, CATALOG, EmbeddedConfig()).search(QUERIES, 5, ItemFilter())[1]
    assert len(np.intersect1d(results, exact)) < 15


def search_file(path: str) -> list[list[int]]:
    index = EmbeddedIndex(np.load(path, mmap_mode="r"), CATALOG, WAYS["clusters"])
    return index.search(QUERIES, K, FILTERS[1])[1].tolist()


def test_several_processes_search_one_file_at_once_and_leave_it_as_it_was(tmp_path, index: EmbeddedIndex):
    path = tmp_path / "embeddings.npy"
    np.save(path, EMBEDDINGS)
    path.chmod(0o444)
    before = path.read_bytes()
    with get_context("spawn").Pool(2) as pool:
        results = pool.map(search_file, [str(path)] * 2)
    assert results[0] == results[1] == index.search(QUERIES, K, FILTERS[1])[1].tolist()
    assert path.read_bytes() == before
