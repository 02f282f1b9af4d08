"""Rows of a collection: as the items have them, written again, and refused where they do not fit."""

from collections.abc import Callable

import numpy as np
import pytest

from redrec.config import InputError
from redrec.index import collection_rows
from redrec.index.collection_rows import block_rows, row_blocks, upsert
from redrec.index.connection import connect
from redrec.index.filters import ItemFilter, scenario_field
from redrec.index.milvus import collection_name
from redrec.index.milvus_config import MilvusConfig
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from tests.index.planted import (
    EMBEDDINGS,
    ITEM_INDEX,
    ITEMS,
    NOON_MS,
    QUERIES,
    SCENARIOS,
    WINDOWED,
    build,
    items_file,
)


def test_blocks_have_all_rows_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collection_rows, "BLOCK_ROWS", 25)
    blocks = list(row_blocks("aaaa", items_file(), EMBEDDINGS, SCENARIOS))
    assert [len(rows) for rows in blocks] == [25, 25, 10]
    rows = [row for block in blocks for row in block]
    assert [row["item_id"] for row in rows] == ITEMS["item_id"].to_pylist()
    np.testing.assert_array_equal([row["embedding"] for row in rows], EMBEDDINGS.astype(np.float32))


def test_a_row_has_typed_fields():
    *_, row = block_rows("aaaa", ITEMS, EMBEDDINGS, SCENARIOS)
    row.pop("embedding")
    shown = {"homefeed": True, "ads": True, "Kitchen & Bar": False}
    fields = {scenario_field(scenario): value for scenario, value in shown.items()}
    assert row == {"item_id": "i59", "bundle_id": "aaaa", "category": "", **fields}


def test_a_row_has_the_ends_of_its_window_if_the_table_has_the_columns():
    rows = [row for block in row_blocks("aaaa", items_file(WINDOWED), EMBEDDINGS, SCENARIOS) for row in block]
    ends = [(row["available_from_ms"], row["available_until_ms"]) for row in rows[:5]]
    least, most = -(2**63), 2**63 - 1
    assert ends[:3] == [(least, most), (NOON_MS, most), (least, NOON_MS)]
    assert ends[3:] == [(NOON_MS - 1, NOON_MS + 1), (NOON_MS, NOON_MS)]


def test_a_row_written_again_replaces_the_old_one(lite: MilvusServer, built: str):
    client = connect(lite)
    rows = block_rows(built, ITEMS.slice(7, 1), QUERIES[:1], SCENARIOS)
    upsert(client, collection_name(built), rows, lite.timeout_s)
    index = ItemIndex(lite, built, ITEM_INDEX, MilvusConfig())
    scores_QK, items_QK = index.search(QUERIES[:1], 1, ItemFilter())
    assert items_QK.tolist() == [[7]] and scores_QK[0, 0] == pytest.approx(1)
    index.close()
    client.close()


@pytest.mark.parametrize("name", ["lite", pytest.param("secure", marks=pytest.mark.milvus)])
def test_rows_of_another_dimension_or_scenario_are_refused(
    name: str, request: pytest.FixtureRequest, new_id: Callable[[], str]
):
    server, bundle_id = request.getfixturevalue(name), new_id()
    build(server, bundle_id, MilvusConfig())
    client, collection, two = connect(server), collection_name(bundle_id), ITEMS.slice(0, 2)
    for rows in (
        block_rows(bundle_id, two, EMBEDDINGS[:2, :4], SCENARIOS),
        block_rows(bundle_id, two, EMBEDDINGS[:2], [*SCENARIOS, "search"]),
    ):
        with pytest.raises(InputError, match=f"{collection} refuses rows.*for others, build"):
            upsert(client, collection, rows, server.timeout_s)
    client.drop_collection(collection)
    client.close()
