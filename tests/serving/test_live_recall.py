"""Live recall: it is that of the sampled searches, and sampling holds nothing up."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from redrec.bundle.reader import Bundle
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import Catalog, ItemFilter
from serving.config import ServingConfig
from serving.live_recall import EXPECTED, HITS, LiveRecall
from tests.serving.retrieval import answers, query

K = 10


def counted(scenario: str, kind: str = "scenario") -> NDArray[np.float64]:
    return np.array([counter.labels(scenario, kind)._value.get() for counter in (HITS, EXPECTED)])


@pytest.fixture
def recall(bundle: Bundle) -> LiveRecall:
    return LiveRecall(Catalog(bundle.items, bundle.item_index), bundle.embeddings_ND, share=1)


def measured(recall: LiveRecall, bundle: Bundle, item_filter: ItemFilter, num_lost: int) -> list[float]:
    """Return how many items were found and expected, for a search that loses some items of each query."""
    kind = "category" if item_filter.category else "scenario"
    queries_QD, before = bundle.embeddings_ND[:4].astype(np.float32), counted(str(item_filter.scenario), kind)
    is_allowed_N = recall.catalog.is_allowed(item_filter)
    items_QK = exact_search(queries_QD, bundle.embeddings_ND, K, is_allowed_N)[1]
    items_QK[:, :num_lost] = NO_ITEM
    recall.offer(queries_QD, items_QK, K, item_filter)
    recall.thread.shutdown(wait=True)
    return (counted(str(item_filter.scenario), kind) - before).tolist()


@pytest.mark.parametrize(("num_lost", "num_hits"), [(0, 40), (3, 28)])
def test_the_items_that_a_search_lost_are_missing(recall: LiveRecall, bundle: Bundle, num_lost: int, num_hits: int):
    assert measured(recall, bundle, ItemFilter(scenario="ads"), num_lost) == [num_hits, 40]


def test_items_that_the_filter_excludes_are_no_hits(recall: LiveRecall, bundle: Bundle):
    queries_QD, before = bundle.embeddings_ND[:4].astype(np.float32), counted("ads", "category")
    unfiltered_QK = exact_search(queries_QD, bundle.embeddings_ND, K)[1]
    item_filter = ItemFilter(scenario="ads", category="tools")
    recall.offer(queries_QD, unfiltered_QK, K, item_filter)
    recall.thread.shutdown(wait=True)
    hits, _ = counted("ads", "category") - before
    assert hits == recall.catalog.is_allowed(item_filter)[unfiltered_QK].sum() < unfiltered_QK.size


def test_only_items_that_exist_are_expected(recall: LiveRecall, bundle: Bundle):
    few = ItemFilter(scenario="ads", category="tools", exclude_ids=tuple(bundle.item_ids[12:]))
    num_allowed = int(recall.catalog.is_allowed(few).sum())
    assert 0 < num_allowed < K
    assert measured(recall, bundle, few, num_lost=0) == [4 * num_allowed, 4 * num_allowed]


@pytest.mark.parametrize("is_busy", [True, False])
def test_nothing_is_sampled_with_a_share_of_zero_or_while_the_thread_is_busy(
    recall: LiveRecall, bundle: Bundle, is_busy: bool
):
    recall.share = 1 if is_busy else 0
    if is_busy:
        recall.is_busy.acquire()
    assert measured(recall, bundle, ItemFilter(scenario="search"), num_lost=0) == [0, 0]


def test_answers_of_a_server_are_sampled(bundle: Bundle, with_server: Callable[..., ServingConfig]):
    before = counted("homefeed")
    config = with_server(bundle).model_copy(update={"recall_share": 1.0})

    async def answer(retriever):
        await retriever.answer(query("homefeed"))
        retriever.lists.recall.thread.shutdown(wait=True)

    answers(bundle, answer, config)
    hits, expected = counted("homefeed") - before
    assert hits == expected > 0  # Milvus Lite is exact
