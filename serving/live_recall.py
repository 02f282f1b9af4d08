"""Live recall: how much of what exact search finds the index finds too, on a sample of the requests that are answered.

The sample is searched again on a thread of its own, one search at a time: while it is busy, no request is sampled. In
Prometheus, the recall is the rate of `redrec_index_hits` by that of `redrec_index_expected`.

Shapes: Q queries, N items, C that were found, K results, D embedding.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter

from redrec.index.boosted import Boosted
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.recall import num_hits, only_allowed

LABELS = ["scenario", "filter"]
HITS = Counter("redrec_index_hits", "Items of exact search that sampled searches found, by filter", LABELS)
EXPECTED = Counter("redrec_index_expected", "Items that exact search found for them, by filter", LABELS)
NO_BOOSTS = Boosted()


class LiveRecall:
    """Samples a share of the searches in one catalog."""

    def __init__(self, catalog: Catalog, embeddings_ND: NDArray[np.floating], share: float) -> None:
        self.catalog, self.embeddings_ND, self.share = catalog, embeddings_ND, share
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="recall")
        self.is_busy = Lock()

    def offer(
        self,
        queries_QD: NDArray[np.floating],
        items_QC: NDArray[np.int64],
        k: int,
        item_filter: ItemFilter,
        boosted: Boosted = NO_BOOSTS,
    ) -> None:
        """Perhaps measure this search for k items; it returns at once."""
        if random.random() < self.share and self.is_busy.acquire(blocking=False):
            self.thread.submit(self._measure, queries_QD, items_QC, k, item_filter, boosted)

    def close(self) -> None:
        self.thread.shutdown(wait=False, cancel_futures=True)

    def _measure(
        self,
        queries_QD: NDArray[np.floating],
        items_QC: NDArray[np.int64],
        k: int,
        item_filter: ItemFilter,
        boosted: Boosted,
    ) -> None:
        try:
            is_allowed_N = self.catalog.is_allowed(item_filter)
            k = min(k, int(np.count_nonzero(is_allowed_N)))
            if k == 0:
                return
            boost_N = boosted.of_all(len(self.embeddings_ND))
            exact_QK, _ = exact_search(queries_QD, self.embeddings_ND, k, is_allowed_N, boost_N)
            labels = (item_filter.scenario or "", "scenario" if item_filter.category is None else "category")
            items_QC = only_allowed(items_QC, is_allowed_N)
            HITS.labels(*labels).inc(num_hits(items_QC, exact_QK, queries_QD, self.embeddings_ND, boost_N))
            EXPECTED.labels(*labels).inc(exact_QK.size)
        finally:
            self.is_busy.release()
