"""Items: where each may be shown, its title, and the order of ids."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data.items import descriptions, id_ranks, is_allowed


def test_an_item_is_allowed_in_its_scenarios_and_named_by_title_or_id(tmp_path):
    items = {"item_id": ["i1", "i2", "i3"], "title": ["one", "", None], "category": ["tools", None, None]}
    items["scenarios"] = [["ads"], ["feed", "ads"], []]
    pq.write_table(pa.table(items), tmp_path / "items.parquet", row_group_size=1)
    allowed_SN = is_allowed(tmp_path / "items.parquet", ("feed", "ads"))
    assert allowed_SN.tolist() == [[False, True, False], [True, True, False]]
    named = descriptions(tmp_path / "items.parquet")
    assert [(item["title"], item["category"]) for item in named] == [("one", "tools"), ("i2", None), ("i3", None)]


@pytest.mark.parametrize(
    ("item_ids", "rank_N"),
    [
        (["10", "9", "9000000000000000000000"], [1, 0, 2]),
        (["007", "10", "9"], [0, 2, 1]),
        (["10", "9", "x"], [0, 1, 2]),
    ],
)
def test_ids_are_numbers_if_all_are_digits(tmp_path, item_ids, rank_N):
    pq.write_table(pa.table({"item_id": item_ids}), tmp_path / "items.parquet", row_group_size=1)
    assert id_ranks(tmp_path / "items.parquet").tolist() == rank_N
