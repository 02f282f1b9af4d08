"""Online: read a user's events of every scenario from a feature store folder, or write them.

For reading, the folder may be mounted read-only. The registry is read once and the feature service object kept: looking
it up at each request takes 7 ms, more than the read itself.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from feature_repo.feast_isolation import isolated
from feature_repo.store import CONFIG, StoreUnavailableError, answering, checked_config, open_store, store_name
from redrec.atomic import identity
from redrec.config import InputError
from redrec.history import tie_keys

if TYPE_CHECKING:
    import pandas as pd


class OnlineHistory(TypedDict):
    """Parallel lists, scenario after scenario; `redrec.history.encode_history` orders them by time."""

    item_ids: list[str]
    actions: list[str]
    scenarios: list[str]
    timestamps_ms: list[int]


EVENT_COLUMNS = ("timestamps_ms", "item_ids", "actions")  # the fields of StoredEvent, as the views have them


class StoredEvent(NamedTuple):
    """The fields that identify an event of a user and scenario."""

    timestamp_ms: int
    item_id: str
    action: str


class OnlineHistories:
    """Users' histories of one feature store folder; `feature_hash` is that of its definitions."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.identity = folder, identity(folder / CONFIG)
        config = checked_config(folder, os.environ)
        self.store_name = store_name(config)
        self.store = open_store(folder, os.environ, is_read_offline=False)
        with isolated():
            from feature_repo.definitions import SERVICE, feature_hash

            self.service = self.store.get_feature_service(SERVICE)
            names = [projection.name for projection in self.service.feature_view_projections]
            tags = {name: self.store.get_feature_view(name).tags for name in names}
            self.view_of_scenario = {tags[name]["scenario"]: name for name in names}
            self.max_events = max(int(tags[name]["max_events"]) for name in names)
            self.feature_hash = feature_hash(list(self.view_of_scenario))
            self.read("")  # the first read imports modules: not in the first request

    def current(self) -> "OnlineHistories":
        """Return the histories of the folder as it is now: these, unless `materialize` has replaced it since.

        Raises:
            StoreUnavailableError: The new folder is broken, or has other definitions.
        """
        if identity(self.folder / CONFIG) in (self.identity, None):
            return self
        try:
            new = OnlineHistories(self.folder)
        except InputError as error:
            raise StoreUnavailableError(str(error)) from error
        if new.feature_hash != self.feature_hash:
            raise StoreUnavailableError(
                f"{self.folder} was replaced by one with the definitions {new.feature_hash}, and {self.feature_hash} "
                "is needed. Put the run's own folder back, or start again with its bundle."
            )
        return new

    def read(self, user_id: str) -> OnlineHistory | None:
        """Return the user's events, or None for a user whom the store does not know."""
        return self.read_many([user_id])[0]

    def read_many(self, user_ids: Sequence[str]) -> list[OnlineHistory | None]:
        """Return what `read` returns, for many users at once.

        Raises:
            StoreUnavailableError: The online store does not answer.
        """
        columns = self._columns(self.service, user_ids)
        return [self._history(columns, row) for row in range(len(user_ids))]

    def read_scenario(self, scenario: str, user_ids: Sequence[str]) -> list[list[StoredEvent]]:
        """Return each user's events of one scenario, oldest first; an unknown user has none."""
        view = self.view_of_scenario[scenario]
        columns = self._columns([f"{view}:{name}" for name in EVENT_COLUMNS], user_ids)
        lists = [columns[f"{view}__{name}"] for name in EVENT_COLUMNS]
        return [stored_events(row) for row in zip(*lists, strict=True)]

    def write_scenario(self, scenario: str, events_of: Mapping[str, Sequence[StoredEvent]]) -> None:
        """Replace each user's events of one scenario; each user has at least one, and they are oldest first."""
        if events_of:
            import pandas as pd

            rows = pd.DataFrame([_row(user_id, events) for user_id, events in events_of.items()])
            self.write_rows(self.view_of_scenario[scenario], rows)

    def write_rows(self, view: str, rows: "pd.DataFrame") -> None:
        """Write rows in the columns of the view's source; readers see them at once."""
        with answering(self.store_name), isolated():
            self.store.write_to_online_store(view, rows)

    def _columns(self, features: Any, user_ids: Sequence[str]) -> dict[str, list[Any]]:
        entities = [{"user_id": user_id} for user_id in user_ids]
        with answering(self.store_name):
            response = self.store.get_online_features(features=features, entity_rows=entities, full_feature_names=True)
        return response.to_dict()

    def _history(self, columns: Mapping[str, Sequence[Any]], row: int) -> OnlineHistory | None:
        history = OnlineHistory(item_ids=[], actions=[], scenarios=[], timestamps_ms=[])
        for scenario, view in self.view_of_scenario.items():
            item_ids = columns[f"{view}__item_ids"][row]
            if item_ids is None:  # stores differ in the status of an unknown user, not in the value
                continue
            history["item_ids"] += item_ids
            history["actions"] += columns[f"{view}__actions"][row]
            history["timestamps_ms"] += columns[f"{view}__timestamps_ms"][row]
            history["scenarios"] += [scenario] * len(item_ids)
        return history if history["item_ids"] else None


def stored_events(row: Sequence[Sequence[Any] | None]) -> list[StoredEvent]:
    """Return the events in the lists of one row, in the order of `EVENT_COLUMNS`; a missing list is empty."""
    values = [column or () for column in row]
    return [StoredEvent(*event) for event in zip(*values, strict=True)]


def newest(events: Iterable[StoredEvent], max_events: int) -> list[StoredEvent]:
    """Return the newest `max_events` events of a user in a scenario, oldest first; ties are sorted as in training."""
    stored = list(events)
    times_ms = [event.timestamp_ms for event in stored]
    keys = tie_keys(times_ms, [event.item_id for event in stored])
    oldest_first = sorted(zip(times_ms, keys, stored, strict=True))
    return [event for _, _, event in oldest_first[-max_events:]]


def _row(user_id: str, events: Sequence[StoredEvent]) -> dict[str, Any]:
    timestamps_ms, item_ids, actions = (list(column) for column in zip(*events, strict=True))
    return {
        "user_id": user_id,
        "event_timestamp": datetime.fromtimestamp(timestamps_ms[-1] / 1000, UTC),
        "item_ids": item_ids,
        "actions": actions,
        "timestamps_ms": timestamps_ms,
    }
