"""A small catalog with texts that need quoting, its random embeddings, and queries."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.columns import WINDOW_COLUMNS
from redrec.index.connection import connect
from redrec.index.filters import Catalog
from redrec.index.milvus import build_collection, collection_name
from redrec.index.milvus_config import MilvusConfig
from redrec.index.server import MilvusServer

NUM_ITEMS, DIM, K = 60, 8, 10
SCENARIOS = ("homefeed", "ads", "Kitchen & Bar")  # the last shows nothing
CATEGORIES = ('a"b', "c\\d", "Küche", "two\nlines", "it's", '") or item_id != ("')
ITEMS = pa.table(
    {
        "item_id": [f'"{i}\\' if i % 5 == 0 else f"i{i}" for i in range(NUM_ITEMS)],
        "category": [*(CATEGORIES[i % 6] for i in range(NUM_ITEMS - 1)), None],
        "scenarios": [["ads"] if i % 4 == 0 else ["homefeed", "ads"] for i in range(NUM_ITEMS)],
    }
)
NOON_MS = 1_767_268_800_000  # of the first of January 2026
WINDOWS_MS = ((None, None), (NOON_MS, None), (None, NOON_MS), (NOON_MS - 1, NOON_MS + 1), (NOON_MS, NOON_MS))
WINDOWED = ITEMS  # with windows, the last of which never opens
for position, column in enumerate(WINDOW_COLUMNS):
    ends_ms = [WINDOWS_MS[i % len(WINDOWS_MS)][position] for i in range(NUM_ITEMS)]
    WINDOWED = WINDOWED.append_column(column, pa.array(ends_ms, pa.timestamp("ms", tz="UTC")))
ITEM_INDEX = {item: i for i, item in enumerate(ITEMS["item_id"].to_pylist())}
CATALOG, WINDOWED_CATALOG = Catalog(ITEMS, ITEM_INDEX), Catalog(WINDOWED, ITEM_INDEX)


def random_unit(num: int, seed: int, dim: int = DIM) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


EMBEDDINGS = random_unit(NUM_ITEMS, seed=0).astype(np.float16)
QUERIES = random_unit(3, seed=1)


def items_file(items: pa.Table = ITEMS) -> Path:
    path = Path(mkdtemp(prefix="redrec-items-")) / "items.parquet"
    pq.write_table(items, path)
    return path


def build(
    server: MilvusServer,
    bundle_id: str,
    config: MilvusConfig,
    embeddings_ND: np.ndarray = EMBEDDINGS,
    items: pa.Table = ITEMS,
) -> None:
    build_collection(server, bundle_id, items_file(items), embeddings_ND, SCENARIOS, config)


def is_available(item: int, moment_ms: int) -> bool:
    """Whether an item of `WINDOWED` is in its window, a second way."""
    opens_ms, closes_ms = WINDOWS_MS[item % len(WINDOWS_MS)]
    return (opens_ms is None or opens_ms <= moment_ms) and (closes_ms is None or moment_ms < closes_ms)


def swap(server: MilvusServer, bundle_id: str, other_id: str, dim: int) -> None:
    """Put another bundle's rows under this bundle's name."""
    client = connect(server)
    client.drop_collection(collection_name(bundle_id))
    build(server, other_id, MilvusConfig(), EMBEDDINGS[:, :dim])
    client.rename_collection(collection_name(other_id), collection_name(bundle_id))
    client.load_collection(collection_name(bundle_id))
    client.close()
