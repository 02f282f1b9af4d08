"""Recall of an index against exact search, per filter, on queries that look like interests.

Interests are near the items they retrieve, so a query is a sampled item's embedding with noise. A returned item is a
hit if its exact score reaches the exact k-th: items of equal content have equal embeddings, and the index may return
any of them. An index may be good without a filter and bad with one, so each scenario is measured, some of its
categories from the smallest to the largest, and its items that are available at one moment.

Shapes: Q queries, N items, T items that a filter allows, D embedding, K results.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from redrec.config import InputError, Record
from redrec.index.exact import NO_ITEM, SearchResult, exact_search_among
from redrec.index.filters import Catalog, ItemFilter

logger = logging.getLogger(__name__)

RECALL_KS = (10, 100)
MAX_QUERIES = 64  # with ten results each, the standard error of a recall of 0.95 is below 0.01
MAX_CATEGORIES = 4  # of a scenario
NOISE = 0.5  # share of a query's norm; cosine to its item is about 0.9, as between an interest and its targets
SCORE_TOLERANCE = 1e-5


class Index(Protocol):
    def search(self, queries_QD: NDArray[np.floating], k: int, item_filter: ItemFilter) -> SearchResult: ...


def _is_none(value: object) -> bool:
    return value is None


class FilterRecall(Record):
    """The recall of searches with one filter."""

    scenario: str
    category: str | None
    num_items: int  # that the filter allows
    recall_at_10: float
    recall_at_100: float
    moment_ms: int | None = Field(default=None, exclude_if=_is_none)  # that the items are available at

    @property
    def name(self) -> str:
        category = "" if self.category is None else f", {self.category}"
        return f"{self.scenario}{category}{'' if self.moment_ms is None else ', available'}"


def measure_recall(
    index: Index,
    catalog: Catalog,
    embeddings_ND: NDArray[np.floating],
    scenarios: Sequence[str],
    moment_ms: int,
    seed: int = 0,
) -> tuple[FilterRecall, ...]:
    """Return the recall of each scenario's filter, and of some with a category; 1.0 where no item is allowed.

    If items have windows, each scenario is also measured among those that are available at `moment_ms`.
    """
    recalls = []
    for item_filter in _filters(catalog, scenarios, catalog.moment(moment_ms)):
        is_allowed_N = catalog.is_allowed(item_filter)
        items_T = np.flatnonzero(is_allowed_N)
        queries_QD = noisy_items(embeddings_ND, items_T, seed)
        at_10, at_100 = _recalls(index, item_filter, queries_QD, is_allowed_N, embeddings_ND)
        recall = FilterRecall(
            scenario=item_filter.scenario or "",
            category=item_filter.category,
            num_items=len(items_T),
            recall_at_10=at_10,
            recall_at_100=at_100,
            moment_ms=item_filter.moment_ms,
        )
        logger.info("index recall | %s | %d items | @10 %.3f | @100 %.3f", recall.name, len(items_T), at_10, at_100)
        recalls.append(recall)
    return tuple(recalls)


def check_recall(recalls: Sequence[FilterRecall], least: float) -> None:
    """Raise InputError if a recall is below `least`."""
    if low := low_recalls(recalls, least):
        rounded = {name: round(recall, 3) for name, recall in low.items()}
        raise InputError(
            f"The index returns too little of what exact search returns, however much a search reads: {rounded}, "
            f"allowed is {least} or more. Choose FLAT, or more links and effort of the build (index.milvus.hnsw_m, "
            "hnsw_ef_construction), or lower index.min_recall."
        )


def low_recalls(recalls: Sequence[FilterRecall], least: float) -> dict[str, float]:
    """Return the recall of each filter that is below `least`."""
    lowest = {one.name: min(one.recall_at_10, one.recall_at_100) for one in recalls}
    return {name: recall for name, recall in lowest.items() if recall < least}


def _filters(catalog: Catalog, scenarios: Sequence[str], moment_ms: int | None) -> Iterator[ItemFilter]:
    for scenario in scenarios:
        yield ItemFilter(scenario)
        if moment_ms is not None:
            yield ItemFilter(scenario, moment_ms=moment_ms)
        numbers, counts = np.unique(catalog.category_N[catalog.is_allowed(ItemFilter(scenario))], return_counts=True)
        by_size = [number for number in numbers[np.argsort(counts, kind="stable")].tolist() if number >= 0]
        positions = np.linspace(0, len(by_size) - 1, min(MAX_CATEGORIES, len(by_size))).astype(int)
        for position in positions:
            yield ItemFilter(scenario, catalog.categories[by_size[position]])


def _recalls(
    index: Index,
    item_filter: ItemFilter,
    queries_QD: NDArray[np.float32],
    is_allowed_N: NDArray[np.bool_],
    embeddings_ND: NDArray[np.floating],
) -> list[float]:
    items_T = np.flatnonzero(is_allowed_N)
    if not len(items_T):
        return [1.0] * len(RECALL_KS)
    exact_QK, _ = exact_search_among(items_T, queries_QD, embeddings_ND[items_T], RECALL_KS[-1])
    recalls = []
    for k in RECALL_KS:  # a search for 100 finds more of the first 10 than a search for 10
        items_QK = index.search(queries_QD, k, item_filter)[1]
        recalls.append(score_recall(only_allowed(items_QK, is_allowed_N), exact_QK[:, :k], queries_QD, embeddings_ND))
    return recalls


def noisy_items(embeddings_ND: NDArray[np.floating], items: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Return unit-norm queries near a seeded sample of `items`."""
    rng = np.random.default_rng(seed)
    sample = rng.choice(items, min(MAX_QUERIES, len(items)), replace=False)
    queries_QD = embeddings_ND[np.sort(sample)].astype(np.float32)
    noise_QD = rng.normal(size=queries_QD.shape) * NOISE / np.sqrt(queries_QD.shape[1])
    queries_QD = (queries_QD + noise_QD).astype(np.float32)
    return queries_QD / np.linalg.norm(queries_QD, axis=1, keepdims=True)


def score_recall(
    items_QK: NDArray[np.int64],
    exact_QK: NDArray[np.float32],
    queries_QD: NDArray[np.float32],
    embeddings_ND: NDArray[np.floating],
) -> float:
    """Return the share of exact results that are among `items_QK`; an item of equal score counts as the same."""
    return num_hits(items_QK, exact_QK, queries_QD, embeddings_ND) / exact_QK.size


def only_allowed(items_QK: NDArray[np.int64], is_allowed_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return results without the items that a filter excludes: of an index that ignores it they are no hits."""
    return np.where(is_allowed_N[items_QK], items_QK, NO_ITEM)


def num_hits(
    items_QK: NDArray[np.int64],
    exact_QK: NDArray[np.float32],
    queries_QD: NDArray[np.floating],
    embeddings_ND: NDArray[np.floating],
    boost_N: NDArray[np.float32] | None = None,
) -> int:
    """Return how many of the exact results, whose scores are given, are among `items_QK`, each once."""
    embeddings_QKD = embeddings_ND[np.maximum(items_QK, 0)].astype(np.float32)
    scores_QK = np.einsum("qd,qkd->qk", queries_QD, embeddings_QKD)
    if boost_N is not None:
        scores_QK += boost_N[items_QK]
    is_hit_QK = (items_QK != NO_ITEM) & (scores_QK >= exact_QK[:, -1:] - SCORE_TOLERANCE)
    hit_Q = [len(np.unique(items_K[is_hit_K])) for items_K, is_hit_K in zip(items_QK, is_hit_QK, strict=True)]
    return int(np.minimum(hit_Q, exact_QK.shape[1]).sum())
