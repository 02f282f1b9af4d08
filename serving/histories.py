"""Histories at request time: a user's events from the feature store or from the request."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.history import History, encode_history
from serving.known_items import check_known_items
from serving.requests import Event


class HistorySource(Protocol):
    """Where users' events are; `current` is the same place after it was replaced, or itself."""

    def current(self) -> "HistorySource": ...

    def read_many(self, user_ids: Sequence[str]) -> Sequence[Mapping[str, Any] | None]:
        """Return each user's parallel lists item_ids, actions, scenarios, timestamps_ms; None for an unknown user."""


class HistoryReader:
    """The feature store of a folder, on the one thread that opens and reads it; bundles may share it."""

    def __init__(self, features: Path | None) -> None:
        self.features = features
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

    def read_many(self, user_ids: Sequence[str]) -> Sequence[Mapping[str, Any] | None]:
        """Return the users' events; it runs on the thread."""
        assert self.source is not None
        self.source = self.source.current()
        return self.source.read_many(user_ids)

    def close(self) -> None:
        self.thread.shutdown(wait=False, cancel_futures=True)


def encode_columns(columns: Mapping[str, Any], bundle: Bundle) -> History:
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
