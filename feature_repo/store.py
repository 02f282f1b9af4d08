"""Store: open a feature store folder by its `feature_store.yaml` and the environment; no file is edited.

| variable                | what it sets                                                                        |
|-------------------------|-------------------------------------------------------------------------------------|
| `REDREC_REDIS`          | Redis as the online store: `host:port`, then `,password=...`, `,ssl=true`, `,db=1`  |
| `REDREC_REGISTRY`       | with Redis, the registry: `s3://bucket/key`, an SQL URL, or a file (`registry.db`)  |
| `FEAST_S3_ENDPOINT_URL` | an object store other than AWS's, for a registry in it                              |

On a cluster they come from a Secret, by default `redrec-features`; its keys are the variables' names. The folder's copy
of the file keeps the names, so no password is written to it.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from feature_repo.feast_isolation import isolated
from feature_repo.origin import check_config, check_registry
from redrec.config import InputError, parsed_mapping, read_mapping

if TYPE_CHECKING:
    from feast import FeatureStore

CONFIG = "feature_store.yaml"
EMBEDDED, PRODUCTION = (Path(__file__).with_name(f"{name}.yaml") for name in ("embedded", "production"))
PROJECT = re.compile(r"redrec_([0-9a-f]+)")
FILES = {"REGISTRY_FILE": "registry.db", "ONLINE_FILE": "online.db"}  # in the folder, by their names in the templates
REDIS, REGISTRY, REGISTRY_TYPE = "REDREC_REDIS", "REDREC_REGISTRY", "REDREC_REGISTRY_TYPE"
VARIABLES = (REDIS, REGISTRY, "FEAST_S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SECRET = "redrec-features"
OBJECT_STORES = ("s3", "gs")
UNUSED = {"type": "remote", "host": "unused"}  # of all offline stores the lightest to import; nothing connects to it


class StoreUnavailableError(ConnectionError):
    """The online store does not answer; the message names it."""


def write_config(folder: Path, environment: Mapping[str, str], definitions: str) -> None:
    """Write the configuration for this environment, with the definitions' hash; variables stay names."""
    text = _config_text(PRODUCTION if environment.get(REDIS) else EMBEDDED, definitions)
    (folder / CONFIG).write_text(text, encoding="utf-8")


def _config_text(template: Path, definitions: str) -> str:
    return Template(template.read_text(encoding="utf-8")).safe_substitute(FILES, DEFINITIONS=definitions)


def open_store(folder: Path, environment: Mapping[str, str], *, is_read_offline: bool) -> "FeatureStore":
    """Open the folder; DuckDB must be installed only if it is read offline.

    Raises:
        InputError: The folder has no configuration, or one that redrec does not write; it names a variable that is not
            set; or the registry may hold code.
    """
    with isolated():
        from feast import FeatureStore, RepoConfig  # 2 s of imports

        config = read_config(folder, environment)
        if not is_read_offline:
            config["offline_store"] = UNUSED
        root = folder.resolve()  # the configured paths are relative to it
        store = FeatureStore(repo_path=str(root), config=RepoConfig(**config, repo_path=root))
        if config["registry"]["registry_type"] == "file":  # a database has logins of its own
            check_registry(store.registry.cached_registry_proto, folder)
        return store


def read_config(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the folder's configuration with its variables filled in."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(
            f"Feature folder {folder} has no {CONFIG}. Give the `features` folder of a run, or make one with "
            "`feature_repo.materialize`."
        )
    registry = environment.get(REGISTRY) or FILES["REGISTRY_FILE"]
    scheme = registry.partition("://")[0] if "://" in registry else ""
    registry_type = "sql" if scheme and scheme not in OBJECT_STORES else "file"
    values = {**environment, REGISTRY: registry, REGISTRY_TYPE: registry_type}
    content = read_mapping(path)
    project = PROJECT.fullmatch(str(content.get("project")))
    texts = [_config_text(template, project[1] if project else "0") for template in (EMBEDDED, PRODUCTION)]
    check_config(content, [parsed_mapping(text.encode(), path) for text in texts], path)
    try:
        filled: dict[str, Any] = _filled(content, values)
        return filled
    except KeyError as error:
        raise InputError(f"{path} asks for the environment variable {error}, which is not set. Set it.") from error


def checked_config(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what `read_config` returns, if the files are there: the store's client would create empty ones."""
    config = read_config(folder, environment)
    paths = [config["registry"]["path"], config["online_store"].get("path")]
    missing = [path for path in paths if path and "://" not in path and not (folder / path).is_file()]
    if missing:
        raise InputError(
            f"Feature folder {folder} has no {', '.join(missing)}. Give the `features` folder of a run, or make one "
            "with `feature_repo.materialize`."
        )
    return config


def _filled(content: Any, values: Mapping[str, str]) -> Any:
    if isinstance(content, dict):
        return {name: _filled(value, values) for name, value in content.items()}
    return Template(content).substitute(values) if isinstance(content, str) else content


def store_name(config: Mapping[str, Any]) -> str:
    """Return the online store's type and address, without its password.

    >>> store_name({"online_store": {"type": "redis", "connection_string": "ssl=true,redis:6379,password=secret"}})
    'redis redis:6379'
    """
    store = config["online_store"]
    fields = store.get("connection_string", "").split(",")
    address = store.get("path") or ",".join(field for field in fields if "=" not in field)
    return f"{store['type']} {address}"


def online_store(store: "FeatureStore") -> Any:
    """Return Feast's own object for the online store: some of what redrec does with it has no public way."""
    return store._get_provider().online_store


def redis_client(store: "FeatureStore") -> Any:
    return online_store(store)._get_client(store.config.online_store)


@contextlib.contextmanager
def answering(name: str) -> Iterator[None]:
    """Raise StoreUnavailableError, with the name of the store, if its client cannot reach it."""
    try:
        yield
    except (sqlite3.Error, RedisError) as error:
        raise StoreUnavailableError(f"The online store ({name}) does not answer: {error}.") from error
