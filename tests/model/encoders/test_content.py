"""Content: tokens come back as they were written, and a table is read block by block without loss."""

import numpy as np
import pytest

from redrec.model.encoders import content as content_module
from redrec.model.encoders.content import (
    ROWS_PER_BLOCK,
    TokenContent,
    blocks,
    encoding_blocks,
    num_items,
    rows_of,
    write_tokens,
)
from tests.model.catalogs import write_items

TOKENS = [[3, 1, 4], [], [5], [9, 2]]


def test_tokens_of_any_items_come_one_after_the_other(tmp_path):
    write_tokens(tmp_path / "content", iter(TOKENS))
    content = TokenContent(tmp_path / "content")
    assert len(content) == 4
    inputs = content.of(np.array([3, 1, 0, 3]))
    assert inputs["tokens_T"].tolist() == [9, 2, 3, 1, 4, 9, 2]
    assert inputs["begins_M"].tolist() == [0, 2, 2, 5]


def test_a_catalog_without_tokens_can_be_opened(tmp_path):
    write_tokens(tmp_path / "content", [[], []])
    inputs = TokenContent(tmp_path / "content").of(np.arange(2))
    assert (inputs["tokens_T"].tolist(), inputs["begins_M"].tolist()) == ([], [0, 0])


def test_every_row_is_read_once_in_its_order(tmp_path):
    items = write_items(tmp_path, [{"title": str(number)} for number in range(ROWS_PER_BLOCK + 1)])
    assert num_items(items) == ROWS_PER_BLOCK + 1
    assert [len(block) for block in blocks(items, ["title"])] == [ROWS_PER_BLOCK, 1]
    assert [row["title"] for row in rows_of(items, ["title"])] == [str(n) for n in range(ROWS_PER_BLOCK + 1)]


def test_a_column_that_the_table_lacks_is_absent_from_the_rows(tmp_path):
    items = write_items(tmp_path, [{"title": "green tea"}])
    assert list(rows_of(items, ["title", "body"])) == [{"title": "green tea"}]


@pytest.mark.parametrize("num_items", [1, 9, 10, 11, 57])
def test_every_item_is_in_one_block_of_texts_of_similar_length(tmp_path, monkeypatch, num_items):
    monkeypatch.setattr(content_module, "ITEMS_PER_WINDOW", 20)
    monkeypatch.setattr(content_module, "ITEMS_PER_BLOCK", 5)
    length_N = np.random.default_rng(num_items).integers(0, 30, num_items)
    content = write_tokens(tmp_path / "content", ([1] * length for length in length_N))
    index_blocks = list(encoding_blocks(content))
    assert sorted(np.concatenate(index_blocks)) == list(range(num_items))
    for start in range(0, num_items, 20):
        window = [items_K for items_K in index_blocks if start <= items_K[0] < start + 20]
        of_window = np.concatenate(window)
        assert len(of_window) == min(20, num_items - start) and max(map(len, window)) <= 5
        assert (np.diff(length_N[of_window]) <= 0).all()
