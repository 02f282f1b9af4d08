"""Definitions: the scenarios' names in; Feast's entity, one feature view per scenario and the feature service out.

A history is three parallel arrays, oldest event first. Times are epoch milliseconds as integers, because the
online stores cut Feast's timestamps to whole seconds, and training and serving would then differ. Scenarios are
merged by `redrec.model.history`, which training shares, not by on-demand views.

All paths are relative to the folder of `feature_store.yaml`, so that the folder can be copied or mounted elsewhere.
"""

import hashlib
import json
import re
from collections.abc import Sequence

from feature_repo.contained import contained
from redrec.config import InputError

with contained():
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Int64, String

SERVICE = "user_histories"
ENTITY_KEY_VERSION = 3  # as in both configurations; it decides under which key a user is found
SCHEMA = [
    Field(name="item_ids", dtype=Array(String)),
    Field(name="actions", dtype=Array(String)),
    Field(name="timestamps_ms", dtype=Array(Int64)),
]


def user_entity() -> Entity:
    return Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)


def source_path(scenario: str) -> str:
    return f"sources/{view_name(scenario)}.parquet"


def view_name(scenario: str) -> str:
    """Return the scenario's feature view; Feast takes names as equal whatever their case.

    >>> view_name("Home & Kitchen")
    'history_home_kitchen'
    """
    return "history_" + re.sub("[^a-z0-9]+", "_", scenario.lower()).strip("_")


def history_views(scenarios: Sequence[str], max_events: int) -> list[FeatureView]:
    """Return one view per scenario, in the order given; tags say its scenario and how long a history is at most.

    Raises:
        InputError: Two scenarios would share one view.
    """
    names = [view_name(scenario) for scenario in scenarios]
    if len(set(names)) < len(names):
        raise InputError(
            f"Scenarios {', '.join(map(repr, scenarios))} give the feature views {', '.join(names)}; each needs its "
            "own. Rename scenarios so that they differ in more than case and punctuation."
        )
    user = user_entity()
    return [
        FeatureView(
            name=view_name(scenario),
            entities=[user],
            schema=SCHEMA,
            source=FileSource(name=view_name(scenario), path=source_path(scenario), timestamp_field="event_timestamp"),
            tags={"scenario": scenario, "max_events": str(max_events)},
        )
        for scenario in scenarios
    ]


def history_service(views: Sequence[FeatureView]) -> FeatureService:
    return FeatureService(name=SERVICE, features=list(views))


def feature_hash(scenarios: Sequence[str]) -> str:
    """Return 16 hex digits that change when serving would read something else than was defined for training."""
    views = {scenario: view_name(scenario) for scenario in scenarios}
    schema = {field.name: str(field.dtype) for field in SCHEMA}
    defined = {"store": ENTITY_KEY_VERSION, "views": views, "schema": schema}
    return hashlib.sha256(json.dumps(defined, sort_keys=True).encode()).hexdigest()[:16]
