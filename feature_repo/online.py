"""Online: read a user's events of every scenario from a feature store folder, or write them.

For reading, the folder may be mounted read-only. The registry is read once and the feature service object kept: looking
it up at each request takes 7 ms, more than the read itself.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from feature_repo.feast_isolation import isolated
from feature_repo.reads import FileReads, RedisReads, Row
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


# the fields of StoredEvent, as the views have them, and where Feast's values have them
EVENT_COLUMNS = {"timestamps_ms": "int64_list_val", "item_ids": "string_list_val", "actions": "string_list_val"}


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
            is_file = config["online_store"]["type"] == "sqlite"
            self.file = FileReads(self.store, self.views, EVENT_COLUMNS) if is_file else None
            self.redis = None if is_file else RedisReads(self.store, self.views, EVENT_COLUMNS)
            self.read("")  # the first read imports modules: not in the first request

    def current(self) -> "OnlineHistories":
        """Return the histories of the folder as it is now: these, unless `materialize` has replaced it since.

        Raises:
            StoreUnavailableError: The new folder is broken, or has other definitions.
        """
        if not self._is_replaced():
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

    @property
    def views(self) -> list[str]:
        return list(self.view_of_scenario.values())

    def _is_replaced(self) -> bool:
        return identity(self.folder / CONFIG) not in (self.identity, None)

    def read(self, user_id: str) -> OnlineHistory | None:
        """Return the user's events, or None for a user whom the store does not know."""
        return self.read_many([user_id])[0]

    def read_many(self, user_ids: Sequence[str]) -> list[OnlineHistory | None]:
        """Return what `read` returns, for many users at once.

        Raises:
            StoreUnavailableError: The online store does not answer.
        """
        rows = self._rows(self.service, self.views, user_ids)
        return [self._history(of_user) for of_user in zip(*rows, strict=True)]

    def read_at_once(self, user_ids: Sequence[str]) -> list[OnlineHistory | None] | None:
        """Return what `read_many` returns; None if that may take long: not a file, locked, or replaced."""
        if self.file is None or self._is_replaced():
            return None
        with contextlib.suppress(StoreUnavailableError), answering(self.store_name), self.file.at_once():
            return self.read_many(user_ids)
        return None

    async def read_awaited(self, user_ids: Sequence[str]) -> list[OnlineHistory | None] | None:
        """Return what `read_many` returns, on one event loop; None if that may hold it up: a file, or replaced.

        Raises:
            StoreUnavailableError: Redis does not answer.
        """
        if self.redis is None or self._is_replaced():
            return None
        with answering(self.store_name):
            return [self._history(rows) for rows in await self.redis.rows(user_ids)]

    async def close(self) -> None:
        """Close what `read_awaited` has opened, on its event loop."""
        if self.redis is not None:
            await self.redis.close()

    def read_scenario(self, scenario: str, user_ids: Sequence[str]) -> list[list[StoredEvent]]:
        """Return each user's events of one scenario, oldest first; an unknown user has none."""
        view = self.view_of_scenario[scenario]
        (rows,) = self._rows([f"{view}:{name}" for name in EVENT_COLUMNS], [view], user_ids)
        return [stored_events(row) for row in rows]

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

    def _rows(self, features: Any, views: Sequence[str], user_ids: Sequence[str]) -> list[list[Row | None]]:
        """Return each view's rows of the users, their lists in the order of `EVENT_COLUMNS`; None without one.

        `features` names the columns of these views for Feast.
        """
        with answering(self.store_name):
            if self.file is not None:
                return self.file.rows(views, user_ids)
            users = [{"user_id": user_id} for user_id in user_ids]
            response = self.store.get_online_features(features=features, entity_rows=users, full_feature_names=True)
        return rows_of(response.to_dict(), views)

    def _history(self, rows: Sequence[Row | None]) -> OnlineHistory | None:
        """Return the history of one user, of the rows of all views."""
        history = OnlineHistory(item_ids=[], actions=[], scenarios=[], timestamps_ms=[])
        for scenario, row in zip(self.view_of_scenario, rows, strict=True):
            if row is None:
                continue
            timestamps_ms, item_ids, actions = row
            history["item_ids"] += item_ids
            history["actions"] += actions
            history["timestamps_ms"] += timestamps_ms
            history["scenarios"] += [scenario] * len(item_ids)
        return history if history["item_ids"] else None


def rows_of(columns: Mapping[str, Sequence[Any]], views: Sequence[str]) -> list[list[Row | None]]:
    """Return each view's rows in the columns of a response; stores differ in the status of an unknown user alone."""
    return [_rows_of_view(columns, view) for view in views]


def _rows_of_view(columns: Mapping[str, Sequence[Any]], view: str) -> list[Row | None]:
    lists = [columns[f"{view}__{name}"] for name in EVENT_COLUMNS]
    return [None if None in row else row for row in zip(*lists, strict=True)]


def stored_events(row: Row | None) -> list[StoredEvent]:
    """Return the events in the lists of one row, in the order of `EVENT_COLUMNS`."""
    return [] if row is None else [StoredEvent(*event) for event in zip(*row, strict=True)]


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
