"""A small catalog with texts that need quoting, its random embeddings, and queries."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
ITEM_INDEX = {item: i for i, item in enumerate(ITEMS["item_id"].to_pylist())}
CATALOG = Catalog(ITEMS, ITEM_INDEX)


def random_unit(num: int, seed: int, dim: int = DIM) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


EMBEDDINGS = random_unit(NUM_ITEMS, seed=0).astype(np.float16)
QUERIES = random_unit(3, seed=1)


def items_file(items: pa.Table = ITEMS) -> Path:
    path = Path(mkdtemp(prefix="redrec-items-")) / "items.parquet"
    pq.write_table(items, path)
    return path


def build(server: MilvusServer, bundle_id: str, config: MilvusConfig, embeddings_ND: np.ndarray = EMBEDDINGS) -> None:
    build_collection(server, bundle_id, items_file(), embeddings_ND, SCENARIOS, config)


def swap(server: MilvusServer, bundle_id: str, other_id: str, dim: int) -> None:
    """Put another bundle's rows under this bundle's name."""
    client = connect(server)
    client.drop_collection(collection_name(bundle_id))
    build(server, other_id, MilvusConfig(), EMBEDDINGS[:, :dim])
    client.rename_collection(collection_name(other_id), collection_name(bundle_id))
    client.load_collection(collection_name(bundle_id))
    client.close()
