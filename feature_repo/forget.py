"""Forget: one user out of the online store and the sources of a feature store folder.

Feast deletes views, not entities, and an emptied history would leave the user's id in its key: so the key itself is
deleted, found by Feast's own functions. Doing it again is harmless, and completes what was cut off.
"""

from pathlib import Path
from typing import Any

from feature_repo.contained import contained
from feature_repo.online import OnlineHistories
from feature_repo.store import answering
from redrec.config import InputError
from redrec.data.forget import Forgotten, Person, forget_rows


def forget_features(folder: Path, person: Person) -> dict[str, Forgotten]:
    """Remove the person from the online store, then from the sources it was loaded from.

    Raises:
        InputError: The store has no such scenario.
        StoreUnavailableError: The online store does not answer, or may not be written; no file was changed.
    """
    from feature_repo.definitions import source_path

    online = OnlineHistories(folder)
    if person.scenario is not None and person.scenario not in online.view_of_scenario:
        raise InputError(f"Unknown scenario {person.scenario!r}; of this store: {', '.join(online.view_of_scenario)}.")
    scenarios = [person.scenario] if person.scenario else list(online.view_of_scenario)
    found = {online.store_name: _forget_online(online, scenarios, person.user_id)}
    for scenario in scenarios:
        path = folder / source_path(scenario)
        found[str(path)] = forget_rows(path, person)
    return found


def _forget_online(online: OnlineHistories, scenarios: list[str], user_id: str) -> Forgotten:
    """Delete the user's histories; counted are scenarios."""
    removed = _count(online, scenarios, user_id)
    delete = {"sqlite": _delete_in_sqlite, "redis": _delete_in_redis}[online.store.config.online_store.type]
    with answering(online.store_name), contained():
        delete(online, scenarios, user_id)
    return Forgotten(removed, _count(online, scenarios, user_id))


def _count(online: OnlineHistories, scenarios: list[str], user_id: str) -> int:
    return sum(bool(online.read_scenario(scenario, [user_id])[0]) for scenario in scenarios)


def _delete_in_sqlite(online: OnlineHistories, scenarios: list[str], user_id: str) -> None:
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.infra.online_stores.sqlite import _quote_id, _table_id

    store = online.store
    key = serialize_entity_key(_entity_key(user_id), store.config.entity_key_serialization_version)
    connection = _online_store(online)._get_conn(store.config)
    connection.execute("PRAGMA secure_delete = ON")  # what was deleted is overwritten, not only unlinked
    with connection:
        for scenario in scenarios:
            table = _table_id(store.project, store.get_feature_view(online.view_of_scenario[scenario]))
            connection.execute(f"DELETE FROM {_quote_id(table)} WHERE entity_key = ?", (key,))


def _delete_in_redis(online: OnlineHistories, scenarios: list[str], user_id: str) -> None:
    """Delete the fields of the scenarios' views; Redis drops a key that has no fields left."""
    from feast.infra.online_stores.helpers import _mmh3, _redis_key

    store = online.store
    key = _redis_key(store.project, _entity_key(user_id), store.config.entity_key_serialization_version)
    views = [store.get_feature_view(online.view_of_scenario[scenario]) for scenario in scenarios]
    fields = [_mmh3(f"{view.name}:{feature.name}") for view in views for feature in view.features]
    fields += [f"_ts:{view.name}" for view in views]
    _online_store(online)._get_client(store.config.online_store).hdel(key, *fields)


def _online_store(online: OnlineHistories) -> Any:
    return online.store._get_provider().online_store


def _entity_key(user_id: str) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)])
