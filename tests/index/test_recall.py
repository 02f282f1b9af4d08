"""Recall of an index against exact search, with its negative control."""

from pathlib import Path

import numpy as np

from redrec.index.config import IndexConfig
from redrec.index.milvus import build_collection, release_embedded
from redrec.index.recall import recall_by_scenario
from redrec.index.search import ItemIndex
from tests.index.planted import CATALOG, EMBEDDINGS, ITEM_INDEX, ITEMS, NUM_ITEMS, SCENARIOS, random_unit


def test_recall_sees_an_index_of_other_vectors(tmp_path: Path):
    """The negative control: chance is 10 of 60."""
    path = tmp_path / "milvus.db"
    build_collection(str(path), "aaaa", ITEMS, random_unit(NUM_ITEMS, seed=5), SCENARIOS, IndexConfig())
    index = ItemIndex(str(path), "aaaa", ITEM_INDEX, IndexConfig())
    assert recall_by_scenario(index, CATALOG, EMBEDDINGS, ["ads"])["ads"] < 0.35
    release_embedded(path)


def test_items_of_equal_content_do_not_cost_recall(tmp_path: Path):
    path, twins_ND = tmp_path / "milvus.db", np.repeat(EMBEDDINGS[:3], 20, axis=0)
    build_collection(str(path), "aaaa", ITEMS, twins_ND, SCENARIOS, IndexConfig())
    index = ItemIndex(str(path), "aaaa", ITEM_INDEX, IndexConfig())
    assert recall_by_scenario(index, CATALOG, twins_ND, ["ads"]) == {"ads": 1.0}
    release_embedded(path)
