"""Forget: remove one user from the online store and the sources of a feature store folder.

Feast deletes views, not entities, and an emptied history would leave the user's id in its key. So the key itself is
deleted; Feast's own functions compute it. A second call is harmless, and completes a call that was interrupted.
"""

from pathlib import Path
from typing import Any, Protocol

from feature_repo.feast_isolation import isolated
from feature_repo.online import OnlineHistories
from feature_repo.store import answering, online_store, redis_client
from feature_repo.write_lock import writing
from redrec.config import InputError
from redrec.data.forget import forget_rows
from redrec.data.person import Forgotten, Person


def forget_features(folder: Path, person: Person) -> dict[str, Forgotten]:
    """Remove the person from the online store, then from the source files of the store.

    Raises:
        InputError: The store has no such scenario, or a source may not be rewritten; then a second call completes it.
        StoreUnavailableError: The online store does not answer or may not be written; no other file was changed.
    """
    online = OnlineHistories(folder)
    from feature_repo.definitions import source_path  # it imports Feast: after the check of the folder

    if person.scenario is not None and person.scenario not in online.view_of_scenario:
        raise InputError(f"Unknown scenario {person.scenario!r}; of this store: {', '.join(online.view_of_scenario)}.")
    scenarios = list(online.view_of_scenario) if person.scenario is None else [person.scenario]
    with writing(online):
        results = {online.store_name: _forget_online(online, scenarios, person)}
    sources = [folder / source_path(scenario) for scenario in scenarios]
    return results | {str(path): forget_rows(path, person) for path in sources if path.is_file()}


def _forget_online(online: OnlineHistories, scenarios: list[str], person: Person) -> Forgotten:
    """Delete the user's histories; the counts are of scenarios."""
    stored = _stored(online, scenarios, person)
    removed = _count(online, scenarios, person, stored)
    with answering(online.store_name), isolated():
        stored.delete()
    return Forgotten(removed, _count(online, scenarios, person, stored))


def _count(online: OnlineHistories, scenarios: list[str], person: Person, stored: "_Stored") -> int:
    """Count the scenarios in which the user has events; a key without events counts as one."""
    num_read = sum(bool(online.read_scenario(scenario, [person.user_id])[0]) for scenario in scenarios)
    with answering(online.store_name), isolated():
        return max(num_read, int(stored.has_key()))


def _stored(online: OnlineHistories, scenarios: list[str], person: Person) -> "_Stored":
    stores: dict[str, type[_InSqlite] | type[_InRedis]] = {"sqlite": _InSqlite, "redis": _InRedis}
    return stores[online.store.config.online_store.type](online, scenarios, person)


class _Stored(Protocol):
    """What an online store holds under the key of a person."""

    def has_key(self) -> bool: ...

    def delete(self) -> None: ...


class _InSqlite:
    def __init__(self, online: OnlineHistories, scenarios: list[str], person: Person) -> None:
        from feast.infra.key_encoding_utils import serialize_entity_key
        from feast.infra.online_stores.sqlite import _quote_id, _table_id

        store = online.store
        views = [store.get_feature_view(online.view_of_scenario[scenario]) for scenario in scenarios]
        self.tables = [_quote_id(_table_id(store.project, view)) for view in views]
        self.key = serialize_entity_key(_entity_key(person.user_id), store.config.entity_key_serialization_version)
        self.connection = online_store(store)._get_conn(store.config)

    def has_key(self) -> bool:
        for table in self.tables:
            query = f"SELECT 1 FROM {table} WHERE entity_key = ? LIMIT 1"
            if self.connection.execute(query, (self.key,)).fetchone():
                return True
        return False

    def delete(self) -> None:
        """Delete the rows, then rewrite the file without what earlier writes left in its unused pages."""
        self.connection.execute("PRAGMA secure_delete = ON")  # off in many builds: deleted bytes would stay
        with self.connection:
            for table in self.tables:
                self.connection.execute(f"DELETE FROM {table} WHERE entity_key = ?", (self.key,))
        self.connection.execute("VACUUM")


class _InRedis:
    def __init__(self, online: OnlineHistories, scenarios: list[str], person: Person) -> None:
        from feast.infra.online_stores.helpers import _mmh3, _redis_key

        store = online.store
        self.key = _redis_key(store.project, _entity_key(person.user_id), store.config.entity_key_serialization_version)
        views = [store.get_feature_view(online.view_of_scenario[scenario]) for scenario in scenarios]
        self.fields: list[Any] = []
        for view in views:
            self.fields.append(f"_ts:{view.name}")
            self.fields.extend(_mmh3(f"{view.name}:{feature.name}") for feature in view.features)
        self.is_everything = person.scenario is None
        self.client = redis_client(store)

    def has_key(self) -> bool:
        if self.is_everything:
            return bool(self.client.exists(self.key))
        return any(value is not None for value in self.client.hmget(self.key, self.fields))

    def delete(self) -> None:
        """Delete the key, or the fields of one scenario; Redis drops a key that has no fields left."""
        if self.is_everything:
            self.client.delete(self.key)
        else:
            self.client.hdel(self.key, *self.fields)


def _entity_key(user_id: str) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)])
