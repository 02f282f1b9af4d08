"""Online: a feature store folder and a user id in, that user's events of every scenario out.

The folder may be mounted read-only. The registry is read once and the feature service object kept: looking it up
at each request costs 7 ms, more than the read itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import yaml

from feature_repo.contained import contained
from redrec.config import InputError


class OnlineHistory(TypedDict):
    """Parallel lists, scenario after scenario; `redrec.model.history.encode_history` orders them by time."""

    item_ids: list[str]
    actions: list[str]
    scenarios: list[str]
    timestamps_ms: list[int]


class OnlineHistories:
    """Users' histories of one feature store folder; `feature_hash` is that of the definitions inside."""

    def __init__(self, folder: Path) -> None:
        for name in ("feature_store.yaml", "registry.db", "online.db"):
            if not (folder / name).is_file():
                raise InputError(
                    f"Feature folder {folder} has no {name}. Give the `features` folder of a run, or make one with "
                    "`feature_repo.materialize`."
                )
        with contained():
            from feast import FeatureStore, RepoConfig  # 6 s of imports

            from feature_repo.definitions import SERVICE, feature_hash

            config = yaml.safe_load((folder / "feature_store.yaml").read_text(encoding="utf-8"))
            del config["offline_store"]  # nothing is read offline here, and a serving image has no DuckDB
            root = folder.resolve()  # the configured paths are relative to it
            self.store = FeatureStore(repo_path=str(root), config=RepoConfig(**config, repo_path=root))
            self.service = self.store.get_feature_service(SERVICE)
            names = [projection.name for projection in self.service.feature_view_projections]
            tags = {name: self.store.get_feature_view(name).tags for name in names}
            self.view_of_scenario = {tags[name]["scenario"]: name for name in names}
            self.max_events = max(int(tags[name]["max_events"]) for name in names)
            self.feature_hash = feature_hash(list(self.view_of_scenario))
            self.read("")  # the first read imports more; better here than in the first request

    def read(self, user_id: str) -> OnlineHistory | None:
        """Return the user's events, or None for a user the store does not know."""
        return self.read_many([user_id])[0]

    def read_many(self, user_ids: Sequence[str]) -> list[OnlineHistory | None]:
        """Return what `read` returns, for many users in one read."""
        response = self.store.get_online_features(
            features=self.service,
            entity_rows=[{"user_id": user_id} for user_id in user_ids],
            full_feature_names=True,
        )
        columns = response.to_dict()
        return [self._history(columns, row) for row in range(len(user_ids))]

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
