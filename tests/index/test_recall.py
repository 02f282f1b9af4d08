"""Recall of an index against exact search, with its negative control."""

from collections.abc import Callable

import numpy as np

from redrec.index.milvus_config import MilvusConfig
from redrec.index.recall import recall_by_scenario
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from tests.index.planted import CATALOG, EMBEDDINGS, ITEM_INDEX, NUM_ITEMS, build, random_unit


def test_recall_sees_an_index_of_other_vectors(lite: MilvusServer, new_id: Callable[[], str]):
    """The negative control: chance is 10 of 60."""
    bundle_id = new_id()
    build(lite, bundle_id, MilvusConfig(), random_unit(NUM_ITEMS, seed=5))
    index = ItemIndex(lite, bundle_id, ITEM_INDEX, MilvusConfig())
    assert recall_by_scenario(index, CATALOG, EMBEDDINGS, ["ads"])["ads"] < 0.35
    index.close()


def test_items_of_equal_content_do_not_cost_recall(lite: MilvusServer, new_id: Callable[[], str]):
    bundle_id, twins_ND = new_id(), np.repeat(EMBEDDINGS[:3], 20, axis=0)
    build(lite, bundle_id, MilvusConfig(), twins_ND)
    index = ItemIndex(lite, bundle_id, ITEM_INDEX, MilvusConfig())
    assert recall_by_scenario(index, CATALOG, twins_ND, ["ads"]) == {"ads": 1.0}
    index.close()
