"""Serving configuration: time budgets per stage and where the index is."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from redrec.config import Config, load_config

MILVUS_URI = "REDREC_MILVUS_URI"


class ServingConfig(Config):
    """Past a budget the answer is a degraded one, marked as such. A healthy stage takes under 100 ms, also embedded."""

    milvus_uri: str | None = None  # of a Milvus server; absent: a private copy of the bundle's embedded index
    features_budget_ms: PositiveInt = 1000
    tower_budget_ms: PositiveInt = 1000
    search_budget_ms: PositiveInt = 1000
    tower_threads: PositiveInt = 2  # each runs one request; scale by replicas
    max_exact_items: NonNegativeInt = 200_000  # exact search of 3 interests there takes about 50 ms on one core


def serving_config(path: Path | None, environment: Mapping[str, str]) -> ServingConfig:
    """Return the configuration of a file, if any, with the deployment's Milvus address from the environment."""
    config = ServingConfig() if path is None else load_config(ServingConfig, path)
    if MILVUS_URI in environment:
        config = config.model_copy(update={"milvus_uri": environment[MILVUS_URI]})
    return config
