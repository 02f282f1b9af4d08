"""Queries to a retriever without a server, and their answers computed a second way."""

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redrec.bundle.reader import Bundle
from redrec.index.filters import Catalog, ItemFilter
from serving.config import ServingConfig
from serving.histories import HistoryReader, HistorySource
from serving.lists import Answer
from serving.requests import Event, Query
from serving.retriever import Retriever, now_ms
from serving.shedding import Waiting
from tests.bundles import CATEGORIES, numpy_interests

SEEN = ["item-001", "item-007", "item-010"]
PATIENT = ServingConfig(features_budget_ms=20_000, tower_budget_ms=20_000, search_budget_ms=20_000)

IMPATIENT = {"tower_budget_ms": 100}


def query(scenario: str = "homefeed", items: list[str] | None = None, **options: Any) -> Query:
    events = [
        Event(item_id=item, action="click", scenario="homefeed", timestamp_ms=1_700_000_000_000 + i)
        for i, item in enumerate(SEEN if items is None else items)
    ]
    return Query(user_id="u", scenario=scenario, history=events, **options)


def answers(
    bundle: Bundle,
    call: Callable[[Retriever], Coroutine],
    config: ServingConfig = PATIENT,
    source: HistorySource | None = None,
    features: Path | None = None,
    waiting: Waiting | None = None,
    clock: Callable[[], int] = now_ms,
) -> Any:
    """Run `call` between a retriever's start and close."""

    async def session():
        histories = HistoryReader(features)
        histories.source = source or histories.source
        retriever = Retriever(bundle, config, histories, waiting or Waiting(), clock)
        try:
            await retriever.start()
            return await call(retriever)
        finally:
            await retriever.close()
            await histories.close()

    return asyncio.run(session())


def exact_items(bundle: Bundle, scenario: str, k: int, item_filter: ItemFilter, boost_N=0.0) -> list[str]:
    """The same answer a second way: numpy tower, one matrix product, full sort."""
    is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(item_filter)
    interests_QD = numpy_interests(bundle, SEEN, scenario)
    cosine_N = (interests_QD @ bundle.embeddings_ND.astype(np.float32).T).max(axis=0)
    scores_N = np.where(is_allowed_N, cosine_N + boost_N, -np.inf)
    return [bundle.item_ids[i] for i in np.argsort(-scores_N, kind="stable")[:k] if is_allowed_N[i]]


def medoid_items(bundle: Bundle, scenario: str, k: int, boost_N=0.0) -> list[str]:
    """The answer of medoids a second way: the events are too different for a cluster, so each is one; a full sort."""
    is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter(scenario))
    embeddings_ND = bundle.embeddings_ND.astype(np.float32)
    cosine_N = (embeddings_ND[[bundle.item_index[item] for item in SEEN]] @ embeddings_ND.T).max(axis=0)
    order_N = np.argsort(-np.where(is_allowed_N, cosine_N + boost_N, -np.inf), kind="stable")
    return [bundle.item_ids[i] for i in order_N[:k]]


@contextmanager
def stuck_tower(retriever: Retriever, *more: ThreadPoolExecutor) -> Iterator[None]:
    """Queries have threads, and all threads of the tower and of the other pools wait; so does all that comes after."""
    workers, is_over = retriever.workers, threading.Event()
    cpu_ms, workers.cpu_ms = workers.cpu_ms, math.inf
    for pool in (workers.tower_threads, *more):
        for _ in range(pool._max_workers):
            pool.submit(is_over.wait)
    try:
        yield
    finally:
        is_over.set()
        workers.cpu_ms = cpu_ms


def item_ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


QUERIED = pytest.mark.parametrize(
    ("options", "item_filter"),
    [
        ({"scenario": "homefeed"}, ItemFilter("homefeed")),
        ({"scenario": "search", "k": 40}, ItemFilter("search")),
        ({"scenario": "ads", "category": CATEGORIES[2]}, ItemFilter("ads", CATEGORIES[2])),
        ({"scenario": "ads", "exclude_seen": True, "k": 40}, ItemFilter("ads", None, tuple(SEEN))),
    ],
)
