"""Milvus: one collection per bundle, built and verified; every row carries the bundle's id.

A user tower is only valid against the items it was trained with, so a collection is named after its bundle and
never reached through an alias. Its rows carry the bundle id as well, because a collection can be renamed: another
bundle's rows are refused with both ids. (Milvus Lite drops collection descriptions, so the description is for people;
the check reads the rows.)

The order of the build is measured: index parameters given at creation leave a server with an interim index, and its
recall does not follow its settings; Milvus Lite accepts unknown index types and then scans. So: create without an
index, insert, flush, create the index, check what was built, load.

Embedded Milvus Lite scans all rows in Python at every search (11 ms at 20 k items, 45 ms at 100 k): it is for
demos and tests. With the uri of a server the same code uses Milvus.

Shapes: N items, D embedding.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pymilvus import CollectionSchema, DataType, MilvusClient, MilvusException

from redrec.config import InputError
from redrec.index.config import IndexConfig
from redrec.index.filters import scenario_field

METRIC = "IP"  # embeddings have unit norm, so this is the cosine, as in exact search up to rounding
INSERT_ROWS = 5_000  # bounds memory; 1.3 MB of float32 at D = 64
MAX_VARCHAR = 65_535  # Milvus's own limit, in bytes
MAX_SCENARIOS = 50  # a collection has at most 64 fields
SERVER_SCHEMES = ("http", "https")
SHOWN_COLLECTIONS = 5
NEVER_MS = 2**31 - 1  # gRPC's own value for no pings


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


def check_server_uri(uri: str) -> str:
    """Return `uri` if it names a Milvus server; a path is refused."""
    address = urlsplit(uri)
    if address.scheme not in SERVER_SCHEMES or not address.hostname:
        raise InputError(
            f"Milvus uri {uri!r} is not allowed. Give http://HOST:PORT or https://HOST:PORT of a Milvus server, "
            "or none to use the bundle's embedded index."
        )
    return uri


def client_options(uri: str) -> dict[str, dict[str, int]]:
    """Return options of a client: none of its pings, every 10 s, for the embedded server, which refuses them."""
    is_server = urlsplit(uri).scheme in SERVER_SCHEMES
    return {} if is_server else {"grpc_options": {"grpc.keepalive_time_ms": NEVER_MS}}


def release_embedded(path: Path) -> None:
    """Stop the embedded server of `path` and release its lock; closing a client does neither."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(path))


def build_collection(
    uri: str,
    bundle_id: str,
    items: pa.Table,
    embeddings_ND: NDArray[np.floating],
    scenarios: Sequence[str],
    config: IndexConfig,
) -> None:
    """Build `items_<bundle id>` from the item table and its embeddings, in item_index order.

    A collection of that name that already holds exactly this bundle is kept: a server may be answering from it.
    """
    if len(scenarios) > MAX_SCENARIOS:
        raise InputError(f"There are {len(scenarios)} scenarios; an index has at most {MAX_SCENARIOS}. Merge some.")
    client = connect(uri)
    name = collection_name(bundle_id)
    try:
        if client.has_collection(name) and not _is_built(client, bundle_id, items.num_rows, config):
            client.drop_collection(name)
        if not client.has_collection(name):
            _create(client, bundle_id, embeddings_ND.shape[1], scenarios)
            for rows in _row_blocks(bundle_id, items, embeddings_ND, scenarios):
                client.upsert(name, rows)
            client.flush(name)
            _create_index(client, name, config)
        client.load_collection(name)
    finally:
        client.close()


def connect(uri: str) -> MilvusClient:
    try:
        return MilvusClient(uri, timeout=30, **client_options(uri))
    except MilvusException as error:
        raise InputError(f"Milvus at {uri} cannot be opened: {error.message}. Is it running, and reachable?") from error


def _is_built(client: MilvusClient, bundle_id: str, count: int, config: IndexConfig) -> bool:
    try:
        verify_collection(client, bundle_id, count, config.index_type)
    except InputError:
        return False
    return True


def _create(client: MilvusClient, bundle_id: str, dim: int, scenarios: Sequence[str]) -> None:
    fields: list[tuple[str, DataType, dict[str, object]]] = [
        ("item_id", DataType.VARCHAR, {"is_primary": True, "max_length": MAX_VARCHAR}),
        ("bundle_id", DataType.VARCHAR, {"max_length": MAX_VARCHAR}),
        ("category", DataType.VARCHAR, {"max_length": MAX_VARCHAR}),
        *((scenario_field(scenario), DataType.BOOL, {}) for scenario in scenarios),
        ("embedding", DataType.FLOAT_VECTOR, {"dim": dim}),
    ]
    schema: CollectionSchema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=f"redrec items of bundle {bundle_id}"
    )
    for name, data_type, options in fields:
        schema.add_field(name, data_type, **options)
    client.create_collection(collection_name(bundle_id), schema=schema)


def _row_blocks(
    bundle_id: str, items: pa.Table, embeddings_ND: NDArray[np.floating], scenarios: Sequence[str]
) -> Iterator[list[dict[str, object]]]:
    for start in range(0, items.num_rows, INSERT_ROWS):
        block = items.slice(start, INSERT_ROWS).select(["item_id", "category", "scenarios"]).to_pylist()
        block_BD = np.asarray(embeddings_ND[start : start + INSERT_ROWS], dtype=np.float32)
        rows = []
        for item, embedding_D in zip(block, block_BD, strict=True):
            row = {"item_id": item["item_id"], "bundle_id": bundle_id, "category": item["category"] or ""}
            row |= {scenario_field(scenario): scenario in item["scenarios"] for scenario in scenarios}
            rows.append(row | {"embedding": embedding_D})
        yield rows


def _create_index(client: MilvusClient, name: str, config: IndexConfig) -> None:
    params = client.prepare_index_params()
    params.add_index("embedding", index_type=config.index_type, metric_type=METRIC, params=config.build_params)
    client.create_index(name, params)


def verify_collection(client: MilvusClient, bundle_id: str, count: int, index_type: str) -> None:
    """Check the rows of the bundle's collection, their number and its index.

    Raises:
        BundleMismatchError: The collection, or every collection of this Milvus, belongs to another bundle.
        InputError: The collection is absent or incomplete, or its metric or index type is another.
    """
    name = collection_name(bundle_id)
    if not client.has_collection(name):
        raise _missing(client, bundle_id)
    client.load_collection(name)
    foreign_rows = client.query(
        name, filter=f'bundle_id != "{bundle_id}"', limit=1, output_fields=["bundle_id"], consistency_level="Strong"
    )
    if foreign_rows:
        raise BundleMismatchError(bundle_id, foreign_rows[0]["bundle_id"], f"its collection {name}")
    num_rows = client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"]
    if num_rows != count:
        raise InputError(
            f"Collection {name} has {num_rows:,} rows, its bundle {count:,} items. Build the bundle again."
        )
    index = client.describe_index(name, "embedding")
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
