"""Definitions: Feast's entities, views per scenario and feature services, given the scenarios' names.

A history is three parallel arrays, oldest event first. Times are epoch milliseconds as integers, because the
online stores cut Feast's timestamps to whole seconds, and training and serving would then differ. `redrec.history`,
which training shares, merges scenarios and computes the times between events. Feast's on-demand views would do the
same a second time, and the registry would give their pickled code to everyone who opens it.

All paths are relative to the folder of `feature_store.yaml`, so the folder can be copied or mounted elsewhere.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import chain

from feature_repo.feast_isolation import isolated
from redrec.data.columns import WINDOWS_DAYS, events_in, users_in
from redrec.data.scenarios import slug

with isolated():
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Int64, String

SERVICE = "user_histories"
ITEM_SERVICE = "item_statistics"
ENTITY_KEY_VERSION = 3  # as in both configurations; it decides under which key a user is stored
SCHEMA = [
    Field(name="item_ids", dtype=Array(String)),
    Field(name="actions", dtype=Array(String)),
    Field(name="timestamps_ms", dtype=Array(Int64)),
]
ITEM_COUNTS = chain.from_iterable((events_in(days), users_in(days)) for days in WINDOWS_DAYS)
ITEM_SCHEMA = [Field(name=name, dtype=Int64) for name in ITEM_COUNTS]
SOURCES = "sources"  # the folder of the views' Parquet files, in a feature store folder


def entities() -> list[Entity]:
    return [Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING) for name in ("user", "item")]


def source_path(scenario: str) -> str:
    return _path(view_name(scenario))


def item_source_path(scenario: str) -> str:
    return _path(item_view_name(scenario))


def _path(view: str) -> str:
    return f"{SOURCES}/{view}.parquet"


def view_name(scenario: str) -> str:
    """Return the scenario's feature view of users.

    >>> view_name("ads"), item_view_name("ads")
    ('history_ads', 'items_ads')
    """
    return f"history_{slug(scenario)}"


def item_view_name(scenario: str) -> str:
    return f"items_{slug(scenario)}"


def history_views(scenarios: Sequence[str], max_events: int) -> list[FeatureView]:
    """Return one view per scenario, in order; its tags hold the scenario and the maximum length of a history."""
    user, _ = entities()
    tags = [{"scenario": scenario, "max_events": str(max_events)} for scenario in scenarios]
    return [_view(view_name(scenario), user, SCHEMA, tag) for scenario, tag in zip(scenarios, tags, strict=True)]


def item_views(scenarios: Sequence[str]) -> list[FeatureView]:
    """Return one view per scenario with the columns of `redrec.data.statistics.item_statistics`."""
    _, item = entities()
    return [_view(item_view_name(scenario), item, ITEM_SCHEMA, {"scenario": scenario}) for scenario in scenarios]


def _view(name: str, entity: Entity, schema: list[Field], tags: dict[str, str]) -> FeatureView:
    source = FileSource(name=name, path=_path(name), timestamp_field="event_timestamp")
    return FeatureView(name=name, entities=[entity], schema=schema, source=source, tags=tags)


def services(histories: Sequence[FeatureView], items: Sequence[FeatureView]) -> list[FeatureService]:
    """Return the service that serving reads, and the one that a ranker may read."""
    return [
        FeatureService(name=SERVICE, features=list(histories)),
        FeatureService(name=ITEM_SERVICE, features=list(items)),
    ]


def feature_hash(scenarios: Sequence[str]) -> str:
    """Return 16 hex digits that change when serving would read other features than training defined."""
    views = {scenario: view_name(scenario) for scenario in scenarios}
    schema = {field.name: str(field.dtype) for field in SCHEMA}
    defined = {"store": ENTITY_KEY_VERSION, "views": views, "schema": schema}
    return hashlib.sha256(json.dumps(defined, sort_keys=True).encode()).hexdigest()[:16]
