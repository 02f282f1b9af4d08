"""Origin: a feature folder may come from elsewhere, so it may hold only what redrec writes.

Another `feature_store.yaml` could name any variable of the environment and send it to any host, or name a Python class
to import. A registry can hold functions, pickled or as source text, and Feast runs them as soon as it reads their view.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redrec.config import InputError

AGAIN = "Make the folder again with `feature_repo.materialize`."
REGISTRY_FIELDS = {
    *("entities", "feature_views", "feature_services", "data_sources"),
    *("infra", "projects", "project_metadata", "feature_view_version_history"),
    *("registry_schema_version", "version_id", "last_updated"),
}
TRANSFORMATION = "feature_transformation"


def check_config(content: Mapping[str, Any], allowed: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Check that the content of a configuration file is one of those that are allowed.

    Raises:
        InputError: It is another; the message names the keys that differ from the closest one.
    """
    differing = [_differing(content, each) for each in allowed]
    fewest = min(differing, key=len)
    if fewest:
        raise InputError(
            f"{path} is not what redrec writes: {', '.join(fewest)}. The addresses of stores come from the environment "
            f"alone. {AGAIN}"
        )


def _differing(content: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    return [key for key in {**expected, **content} if content.get(key) != expected.get(key)]


def check_registry(registry: Any, folder: Path) -> None:
    """Check a registry as it was read, a message of Feast's protocol, before Feast makes objects of it.

    Raises:
        InputError: It holds something else than views of stored features.
    """
    names = [field.name for field, _ in registry.ListFields() if field.name not in REGISTRY_FIELDS]
    names += [view.spec.name for view in registry.feature_views if view.spec.HasField(TRANSFORMATION)]
    if names:
        raise InputError(
            f"The registry of feature folder {folder} may hold code: {', '.join(names)}. Feast would run it, and "
            f"redrec writes none. {AGAIN}"
        )
