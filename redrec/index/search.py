"""Index search: the collection of a bundle, verified once and searched, with or without an event loop.

Results are padded as those of exact search. Every row that comes back is checked: rows of another bundle are refused
with both ids, never returned.

Shapes: Q queries, D embedding, K results.
"""

import asyncio
import contextlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pymilvus import AsyncMilvusClient, MilvusException

from redrec.config import InputError
from redrec.index.connection import connect, is_unreachable, reason
from redrec.index.exact import NO_ITEM, SearchResult
from redrec.index.filters import ItemFilter
from redrec.index.milvus import LOAD_S, BundleMismatchError, collection_name, verify_collection
from redrec.index.milvus_config import MilvusConfig
from redrec.index.server import MilvusServer


class IndexUnavailableError(RuntimeError):
    """Milvus did not answer; the request may be answered another way."""


class ItemIndex:
    """A verified collection, searched; close it when done."""

    def __init__(
        self, server: MilvusServer, bundle_id: str, item_index: Mapping[str, int], config: MilvusConfig
    ) -> None:
        self.server, self.bundle_id, self.item_index, self.config = server, bundle_id, item_index, config
        self.client = connect(server)
        try:
            verify_collection(self.client, bundle_id, len(item_index), config)
        except InputError:
            self.close()
            raise

    def search(self, queries_QD: NDArray[np.floating], k: int, item_filter: ItemFilter) -> SearchResult:
        """Return `scores_QK, items_QK` as `exact_search` does, up to the index's recall."""
        request = search_request(self.bundle_id, self.config, len(self.item_index), queries_QD, k, item_filter)
        hits = self.client.search(**request, timeout=self.server.timeout_s)
        return read_hits(hits, self.bundle_id, self.item_index, k)

    def close(self) -> None:
        self.client.close()


class AsyncItemIndex:
    """The same search on a running event loop; create it there, after `ItemIndex` has verified the collection."""

    def __init__(
        self, server: MilvusServer, bundle_id: str, item_index: Mapping[str, int], config: MilvusConfig
    ) -> None:
        self.server, self.bundle_id, self.item_index, self.config = server, bundle_id, item_index, config
        self.client = AsyncMilvusClient(server.uri, **server.options())
        self.loading: asyncio.Task[None] | None = None

    async def search(self, queries_QD: NDArray[np.floating], k: int, item_filter: ItemFilter) -> SearchResult:
        """Return `scores_QK, items_QK`, best first.

        Raises:
            BundleMismatchError: The rows belong to another bundle.
            IndexUnavailableError: Milvus did not answer in time, or refused the search.
        """
        request = search_request(self.bundle_id, self.config, len(self.item_index), queries_QD, k, item_filter)
        try:
            hits = await self.client.search(**request, timeout=self.server.timeout_s)
        except MilvusException as error:
            if not is_unreachable(error):
                self.load()
                await self.check_rows()  # another bundle's collection explains a refusal better than Milvus does
            raise self._unavailable(error) from error
        if not any(len(hits_of_query) for hits_of_query in hits):
            await self.check_rows()
        return read_hits(hits, self.bundle_id, self.item_index, k)

    def load(self) -> None:
        """Let a server that refused a search load the collection, beside this request: it may have been restarted."""
        if self.loading is None or self.loading.done():
            self.loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        with contextlib.suppress(MilvusException):  # the next search is refused too, and says why
            await self.client.load_collection(collection_name(self.bundle_id), timeout=LOAD_S)

    async def check_rows(self) -> None:
        """Check the bundle id of one row, for searches that failed or have no hits."""
        name = collection_name(self.bundle_id)
        arguments = {"filter": 'item_id != ""', "limit": 1, "output_fields": ["bundle_id"]}
        try:
            rows = await self.client.query(name, **arguments, timeout=self.server.timeout_s)
        except MilvusException as error:
            raise self._unavailable(error) from error
        for row in rows:
            _check_bundle(row["bundle_id"], self.bundle_id)

    def _unavailable(self, error: MilvusException) -> IndexUnavailableError:
        return IndexUnavailableError(f"Milvus at {self.server.uri}: {reason(error, self.server)}")

    async def close(self) -> None:
        if self.loading is not None:
            self.loading.cancel()
        await self.client.close()


def search_request(
    bundle_id: str,
    config: MilvusConfig,
    num_rows: int,
    queries_QD: NDArray[np.floating],
    k: int,
    item_filter: ItemFilter,
) -> dict[str, object]:
    """Return the arguments of one Milvus search for all Q queries."""
    return {
        "collection_name": collection_name(bundle_id),
        "anns_field": "embedding",
        "data": list(np.asarray(queries_QD, dtype=np.float32)),
        "limit": k,
        "filter": item_filter.expression(),
        "search_params": {"params": config.search_params(num_rows, k)},
        "output_fields": ["bundle_id"],  # without it Milvus Lite returns the vectors too
        "consistency_level": config.consistency,
    }


def read_hits(hits: list, bundle_id: str, item_index: Mapping[str, int], k: int) -> SearchResult:
    """Return Milvus's hits as `scores_QK, items_QK`, rows padded at their end as `exact_search` pads.

    Items that the bundle does not know (added to the live collection later) are left out.
    """
    scores_QK = np.full((len(hits), k), -np.inf, dtype=np.float32)
    items_QK = np.full((len(hits), k), NO_ITEM, dtype=np.int64)
    for q, hits_of_query in enumerate(hits):
        column = 0
        for hit in hits_of_query:
            _check_bundle(hit["entity"]["bundle_id"], bundle_id)
        for score, item in zip(hits_of_query.distances, hits_of_query.ids, strict=True):
            if item in item_index:
                scores_QK[q, column], items_QK[q, column] = score, item_index[item]
                column += 1
    return scores_QK, items_QK


def _check_bundle(actual: str, expected: str) -> None:
    if actual != expected:
        raise BundleMismatchError(expected, actual, f"its collection {collection_name(expected)}")
