"""Content: tokens come back as they were written, and a table is read block by block without loss."""

import numpy as np

from redrec.model.encoders.content import ROWS_PER_BLOCK, TokenContent, blocks, num_items, rows_of, write_tokens
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
