"""Histories at request time: a user's events from the feature store or from the request.

A change of threads costs half a millisecond of CPU, more than the read itself. So the event loop waits for Redis, and
reads a file while its rows come at once. What may take long is left to a thread: a file that another process has
locked, one on a slow disk, for a while, a folder that `materialize` has replaced, and many users.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.history import History, encode_history
from serving.known_items import check_known_items
from serving.requests import Event
from serving.shedding import Waiting
from serving.tracing import in_context
from serving.workers import MAX_ON_LOOP

logger = logging.getLogger(__name__)

SLOW_S, THREAD_S = 0.02, 10.0  # a read on the event loop that is slow gives the thread those of the next seconds

Columns = Mapping[str, Any]


class HistorySource(Protocol):
    """Where users' events are; `current` is the same place after it was replaced, or itself."""

    def current(self) -> "HistorySource": ...

    def read_many(self, user_ids: Sequence[str]) -> Sequence[Columns | None]:
        """Return each user's parallel lists item_ids, actions, scenarios, timestamps_ms; None for an unknown user."""

    def read_at_once(self, user_ids: Sequence[str]) -> Sequence[Columns | None] | None:
        """Return what `read_many` returns; None if that may take long."""

    async def read_awaited(self, user_ids: Sequence[str]) -> Sequence[Columns | None] | None:
        """Return what `read_many` returns; None if that does not wait for a network alone."""

    async def close(self) -> None: ...


class HistoryReader:
    """The feature store of a folder, opened and read on a thread, or read on the event loop; bundles may share it."""

    def __init__(self, features: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.features, self.clock = features, clock
        self.in_use, self.slow_until_s = Lock(), -math.inf  # the source, which has one connection
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="features")
        self.source: HistorySource | None = None
        self.feature_hash: str | None = None  # of the definitions
        if features is not None:
            from feature_repo.online import OnlineHistories  # feast takes seconds to import

            histories = self.thread.submit(OnlineHistories, features).result()
            self.source, self.feature_hash = histories, histories.feature_hash

    def check(self, bundle: Bundle) -> None:
        """Check that the bundle was built with these definitions, and that the features are about its catalog.

        Raises:
            InputError: They are not.
        """
        if self.feature_hash not in (None, bundle.manifest.feature_hash):
            raise InputError(
                f"Bundle {bundle.manifest.id} was built with feature definitions {bundle.manifest.feature_hash}, but "
                f"{self.features} has {self.feature_hash}. Give the feature folder of the bundle's own run."
            )
        if self.features is not None:
            check_known_items(self.features, bundle)

    async def read(self, user_ids: Sequence[str], waiting: Waiting) -> Sequence[Columns | None]:
        """Return the users' events."""
        assert self.source is not None
        with waiting.elsewhere(len(user_ids)):
            columns = await self.source.read_awaited(user_ids)
        if columns is None and len(user_ids) <= MAX_ON_LOOP and self.clock() >= self.slow_until_s:
            columns = self._read_at_once(user_ids)
        if columns is None:
            with waiting.elsewhere(len(user_ids)):
                columns = await in_context(self.thread, self.read_many, user_ids)
        return columns

    def _read_at_once(self, user_ids: Sequence[str]) -> Sequence[Columns | None] | None:
        assert self.source is not None
        if not self.in_use.acquire(blocking=False):
            return None
        begin_s = self.clock()
        try:
            columns = self.source.read_at_once(user_ids)
        finally:
            self.in_use.release()
        end_s = self.clock()
        if end_s - begin_s > SLOW_S:
            self.slow_until_s = end_s + THREAD_S
            logger.warning("A read of histories took %.0f ms: a thread has those that follow", 1000 * (end_s - begin_s))
        return columns

    def read_many(self, user_ids: Sequence[str]) -> Sequence[Columns | None]:
        """Return the users' events; it runs on the thread."""
        assert self.source is not None
        with self.in_use:
            self.source = self.source.current()
            return self.source.read_many(user_ids)

    async def close(self) -> None:
        if self.source is not None:
            await self.source.close()
        self.thread.shutdown(wait=False, cancel_futures=True)


def encode_columns(columns: Columns, bundle: Bundle) -> History:
    return encode_history(
        columns["item_ids"],
        columns["actions"],
        columns["scenarios"],
        columns["timestamps_ms"],
        bundle.item_index,
        bundle.vocabulary,
    )


def event_columns(events: list[Event]) -> dict[str, list]:
    """Return inline events in the form of a `HistorySource`."""
    return {
        "item_ids": [event.item_id for event in events],
        "actions": [event.action for event in events],
        "scenarios": [event.scenario for event in events],
        "timestamps_ms": [event.timestamp_ms for event in events],
    }
