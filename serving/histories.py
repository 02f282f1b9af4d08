"""Histories at request time: a user's events from the feature store or from the request."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.history import History, encode_history
from serving.requests import Event


class HistorySource(Protocol):
    """A user's events as the parallel lists item_ids, actions, scenarios, timestamps_ms; None for an unknown user."""

    def read(self, user_id: str) -> Mapping[str, Any] | None: ...


def open_features(folder: Path, bundle: Bundle, thread: ThreadPoolExecutor) -> HistorySource:
    """Open the feature store on the thread that will read it.

    Raises:
        InputError: Its definitions differ from those that the bundle was built with.
    """
    from feature_repo.online import OnlineHistories  # feast takes seconds to import

    source = thread.submit(OnlineHistories, folder).result()
    if source.feature_hash != bundle.manifest.feature_hash:
        raise InputError(
            f"Bundle {bundle.manifest.id} was built with feature definitions {bundle.manifest.feature_hash}, "
            f"but {folder} has {source.feature_hash}. Give the feature folder of the bundle's own run."
        )
    return source


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
