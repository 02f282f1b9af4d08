"""A small catalog with texts that need quoting, its random embeddings, and queries."""

import numpy as np
import pyarrow as pa

from redrec.index.config import IndexConfig
from redrec.index.filters import Catalog
from redrec.index.milvus import build_collection, collection_name, connect

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


def random_unit(num: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(num, DIM)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


EMBEDDINGS = random_unit(NUM_ITEMS, seed=0).astype(np.float16)
QUERIES = random_unit(3, seed=1)


def swap(uri: str, bundle_id: str, other_id: str, dim: int) -> None:
    """Put another bundle's rows under this bundle's name."""
    client = connect(uri)
    client.drop_collection(collection_name(bundle_id))
    build_collection(uri, other_id, ITEMS, EMBEDDINGS[:, :dim], SCENARIOS, IndexConfig())
    client.rename_collection(collection_name(other_id), collection_name(bundle_id))
    client.load_collection(collection_name(bundle_id))
    client.close()
