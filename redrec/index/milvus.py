"""Milvus: one collection per bundle, built and verified; every row carries the bundle's id.

A user tower is only valid against the items it was trained with, so a collection is named after its bundle and
never reached through an alias. Its rows carry the bundle id as well, because a collection can be renamed: another
bundle's rows are refused with both ids. (Milvus Lite drops collection descriptions, so the description is for people;
the check reads the rows.)

The order of the build is measured: index parameters given at creation leave a server with an interim index, and its
recall does not follow its settings; Milvus Lite accepts unknown index types and then scans. So: create without an
index, insert, flush, create the index, check what was built, load. A collection whose build was stopped has no index;
the next build of its bundle, or the next clean-up (`redrec.index.cleanup`), drops it.

Shapes: N items, D embedding.
"""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pymilvus import CollectionSchema, DataType, MilvusClient, MilvusException

from redrec.config import InputError
from redrec.index.availability import FROM_FIELD, UNTIL_FIELD, has_window_columns
from redrec.index.collection_rows import row_blocks, upsert
from redrec.index.connection import connect, reason
from redrec.index.filters import scenario_field
from redrec.index.milvus_config import MilvusConfig
from redrec.index.server import MilvusServer

logger = logging.getLogger(__name__)

METRIC = "IP"  # embeddings have unit norm, so this is the cosine, as in exact search up to rounding
MAX_VARCHAR = 65_535  # Milvus's own limit, in bytes
MAX_SCENARIOS = 50  # a collection has at most 64 fields
SHOWN_COLLECTIONS = 5
FLUSH_S, LOAD_S = 600.0, 1800.0  # of calls that wait for the server to write or read a whole collection
POLL_S, LOG_S = 0.2, 30.0
STALLED_S = 3600.0  # without a row more in the index; one core takes 600 s for a segment of 2 M rows, D = 64


class BundleMismatchError(InputError):
    """The index holds another bundle's items; both ids are in the message."""

    def __init__(self, expected: str, actual: str, where: str) -> None:
        super().__init__(
            f"Bundle {expected} must be served with its own index, but {where} holds bundle {actual}. "
            "Vectors of two bundles cannot be compared. Serve each bundle with the index it was built with, "
            "or build the bundle again."
        )


def collection_name(bundle_id: str) -> str:
    return f"items_{bundle_id}"


def build_collection(
    server: MilvusServer,
    bundle_id: str,
    items: Path,
    embeddings_ND: NDArray[np.floating],
    scenarios: tuple[str, ...],
    config: MilvusConfig,
) -> None:
    """Build `items_<bundle id>` from the Parquet file of items and their embeddings, in item_index order.

    Items and embeddings are such as `redrec.index.rows.check_rows` lets pass.

    A collection of that name that already holds exactly this bundle is kept: a server may be answering from it. Memory
    is that of a block of rows.

    Raises:
        InputError: There are too many scenarios, or the server refuses or stops the build.
    """
    if len(scenarios) > MAX_SCENARIOS:
        raise InputError(f"There are {len(scenarios)} scenarios; an index has at most {MAX_SCENARIOS}. Merge some.")
    num_rows, client = len(embeddings_ND), connect(server)
    try:
        if not _is_built(client, bundle_id, num_rows, config):
            _drop(client, collection_name(bundle_id), server.timeout_s)
            _build(client, server, bundle_id, items, embeddings_ND, scenarios, config)
        verify_collection(client, bundle_id, num_rows, config)
    except MilvusException as error:
        raise InputError(
            f"Milvus at {server.uri} stopped the build of {collection_name(bundle_id)}: {reason(error, server)} Build "
            "again; other collections are as they were."
        ) from error
    finally:
        client.close()


def _is_built(client: MilvusClient, bundle_id: str, num_rows: int, config: MilvusConfig) -> bool:
    try:
        verify_collection(client, bundle_id, num_rows, config)
    except InputError:
        return False
    return True


def _drop(client: MilvusClient, name: str, timeout_s: float) -> None:
    if client.has_collection(name, timeout=timeout_s):
        client.drop_collection(name, timeout=timeout_s)


def _build(
    client: MilvusClient,
    server: MilvusServer,
    bundle_id: str,
    items: Path,
    embeddings_ND: NDArray[np.floating],
    scenarios: tuple[str, ...],
    config: MilvusConfig,
) -> None:
    name, num_rows, logged_at = collection_name(bundle_id), 0, time.monotonic()
    windows = (FROM_FIELD, UNTIL_FIELD) if has_window_columns(pq.read_schema(items)) else ()
    _create(client, bundle_id, embeddings_ND.shape[1], scenarios, windows, server.timeout_s)
    for rows in row_blocks(bundle_id, items, embeddings_ND, scenarios):
        upsert(client, name, rows, server.timeout_s)
        num_rows += len(rows)
        if time.monotonic() - logged_at > LOG_S:
            logger.info("index rows | %d of %d", num_rows, len(embeddings_ND))
            logged_at = time.monotonic()
    client.flush(name, timeout=FLUSH_S)
    _create_index(client, name, len(embeddings_ND), config, server.timeout_s)


def _create(
    client: MilvusClient,
    bundle_id: str,
    dim: int,
    scenarios: tuple[str, ...],
    windows: tuple[str, ...],
    timeout_s: float,
) -> None:
    fields: list[tuple[str, DataType, dict[str, object]]] = [
        ("item_id", DataType.VARCHAR, {"is_primary": True, "max_length": MAX_VARCHAR}),
        ("bundle_id", DataType.VARCHAR, {"max_length": MAX_VARCHAR}),
        ("category", DataType.VARCHAR, {"max_length": MAX_VARCHAR}),
        *((scenario_field(scenario), DataType.BOOL, {}) for scenario in scenarios),
        *((field, DataType.INT64, {}) for field in windows),
        ("embedding", DataType.FLOAT_VECTOR, {"dim": dim}),
    ]
    schema: CollectionSchema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=f"redrec items of bundle {bundle_id}"
    )
    for name, data_type, options in fields:
        schema.add_field(name, data_type, **options)
    client.create_collection(collection_name(bundle_id), schema=schema, timeout=timeout_s)


def _create_index(client: MilvusClient, name: str, num_rows: int, config: MilvusConfig, timeout_s: float) -> None:
    """Create the index and wait until all rows are in it, as long as their number grows."""
    index, params = config.index(num_rows), client.prepare_index_params()
    params.add_index("embedding", index_type=index.index_type, metric_type=METRIC, params=index.params)
    client.create_index(name, params, timeout=timeout_s, sync=False)
    progress = Progress(name, num_rows)
    while not progress.is_finished(client.describe_index(name, "embedding", timeout=timeout_s)):
        time.sleep(POLL_S)


class Progress:
    """How far an index is; it is logged from time to time."""

    def __init__(self, name: str, num_rows: int) -> None:
        self.name, self.num_rows, self.num_indexed = name, num_rows, -1
        self.grown_at = self.logged_at = time.monotonic()

    def is_finished(self, state: dict[str, Any]) -> bool:
        """Return whether all rows are in the index; raise InputError if it has not grown for long."""
        now = time.monotonic()
        if state["indexed_rows"] > self.num_indexed:
            self.num_indexed, self.grown_at = state["indexed_rows"], now
        if state["state"] == "Finished":
            return True
        if now - self.grown_at > STALLED_S:
            raise InputError(
                f"The index of {self.name} has {self.num_indexed:,} of {self.num_rows:,} rows, and no more in "
                f"{STALLED_S:g} s. Look at the logs of Milvus's index nodes; then build again."
            )
        if now - self.logged_at > LOG_S:
            logger.info("index %s | %d of %d rows", self.name, self.num_indexed, self.num_rows)
            self.logged_at = now
        return False


def verify_collection(client: MilvusClient, bundle_id: str, count: int, config: MilvusConfig) -> None:
    """Load the bundle's collection and check its index, its rows and their number.

    Raises:
        BundleMismatchError: The collection, or every collection of this Milvus, belongs to another bundle.
        InputError: The collection is absent or incomplete, or its metric or index type is another.
    """
    name = collection_name(bundle_id)
    if not client.has_collection(name, timeout=LOAD_S):
        raise _missing(client, bundle_id)
    _check_index(client, name, config.index(count).index_type)
    client.load_collection(name, timeout=LOAD_S)
    strong = {"consistency_level": "Strong", "timeout": LOAD_S}
    foreign_rows = client.query(
        name, filter=f'bundle_id != "{bundle_id}"', limit=1, output_fields=["bundle_id"], **strong
    )
    if foreign_rows:
        raise BundleMismatchError(bundle_id, foreign_rows[0]["bundle_id"], f"its collection {name}")
    num_rows = client.query(name, filter="", output_fields=["count(*)"], **strong)[0]["count(*)"]
    if num_rows != count:
        raise InputError(
            f"Collection {name} has {num_rows:,} rows, its bundle {count:,} items. Build the bundle again."
        )


def _check_index(client: MilvusClient, name: str, index_type: str) -> None:
    index = client.describe_index(name, "embedding", timeout=LOAD_S)
    if index is None:
        raise InputError(f"Collection {name} has no index: its build was stopped. Build the bundle again.")
    if index["metric_type"] != METRIC:
        raise InputError(f"Collection {name} measures {index['metric_type']}, not {METRIC}. Build the bundle again.")
    if index["index_type"] != index_type:
        raise InputError(
            f"Collection {name} has the index {index['index_type']}, not {index_type}. Build the bundle again."
        )


def _missing(client: MilvusClient, bundle_id: str) -> InputError:
    prefix = collection_name("")
    others = [name.removeprefix(prefix) for name in client.list_collections() if name.startswith(prefix)]
    if others:
        return BundleMismatchError(bundle_id, ", ".join(sorted(others)[:SHOWN_COLLECTIONS]), "this Milvus")
    return InputError(f"This Milvus has no collection {prefix}{bundle_id}. Build the bundle again against it.")
