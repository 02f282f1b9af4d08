"""Serving configuration: time budgets per stage, the address of the index, the token of the events route, the log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from redrec.config import Config, load_config, validated
from redrec.index.server import URI, MilvusServer, milvus_server

PUSH_TOKEN, LOG_FORMAT = "REDREC_PUSH_TOKEN", "REDREC_LOG_FORMAT"
LogFormat = Literal["text", "json"]


class ServingConfig(Config):
    """A stage over its budget leads to a degraded answer, marked as such. A healthy stage takes under 100 ms."""

    milvus: MilvusServer | None = None  # None: the bundle's embeddings, in process
    push_token: str | None = Field(
        default=None, min_length=16, pattern="^[!-~]+$", repr=False
    )  # None: no events by POST
    features_budget_ms: PositiveInt = 1000
    tower_budget_ms: PositiveInt = 1000
    search_budget_ms: PositiveInt = 1000
    event_loop_ms: NonNegativeFloat = 6.0  # of CPU from the tower on; a slower query has a thread (serving.workers)
    tower_threads: PositiveInt = 2  # one request per thread; scale by replicas
    max_exact_items: NonNegativeInt = 200_000  # searched while a server fails; 3 interests then take 7 ms of CPU
    recall_share: float = Field(default=0.01, ge=0, le=1)  # of the searches that are not exact, searched again exactly
    max_waiting: PositiveInt = 32  # queries; then 429. 8 refuse bursts at half load, 128 do not stop a tenfold overload
    log_format: LogFormat = "text"


def serving_config(path: Path | None, environment: Mapping[str, str]) -> ServingConfig:
    """Return the configuration of the file, if any, with what the environment sets."""
    config = ServingConfig() if path is None else load_config(ServingConfig, path)
    given: dict[str, object] = {}
    if server := milvus_server(environment.get(URI), environment):
        given["milvus"] = server.model_dump()
    if environment.get(PUSH_TOKEN):
        given["push_token"] = environment[PUSH_TOKEN]
    if environment.get(LOG_FORMAT):
        given["log_format"] = environment[LOG_FORMAT]
    return validated(ServingConfig, config.model_dump() | given, "environment")
