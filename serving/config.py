"""Serving configuration: time budgets per stage, and the address of the index."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from redrec.config import Config, load_config

MILVUS_URI = "REDREC_MILVUS_URI"


class ServingConfig(Config):
    """A stage over its budget leads to a degraded answer, marked as such. A healthy stage takes under 100 ms."""

    milvus_uri: str | None = None  # of a Milvus server; None: a private copy of the bundle's embedded index
    features_budget_ms: PositiveInt = 1000
    tower_budget_ms: PositiveInt = 1000
    search_budget_ms: PositiveInt = 1000
    tower_threads: PositiveInt = 2  # one request per thread; scale by replicas
    max_exact_items: NonNegativeInt = 200_000  # at this size, exact search of 3 interests takes about 50 ms on one core


def serving_config(path: Path | None, environment: Mapping[str, str]) -> ServingConfig:
    """Return the configuration of the file, if any, with the Milvus address of the environment, if set."""
    config = ServingConfig() if path is None else load_config(ServingConfig, path)
    if MILVUS_URI in environment:
        config = config.model_copy(update={"milvus_uri": environment[MILVUS_URI]})
    return config
