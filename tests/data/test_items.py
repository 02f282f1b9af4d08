"""Items: where each may be shown, and its title."""

import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.items import is_allowed, titles


def test_an_item_is_allowed_in_its_scenarios_and_named_by_title_or_id(tmp_path):
    items = {"item_id": ["i1", "i2", "i3"], "title": ["one", "", None], "scenarios": [["ads"], ["feed", "ads"], []]}
    pq.write_table(pa.table(items), tmp_path / "items.parquet", row_group_size=1)
    allowed_SN = is_allowed(tmp_path / "items.parquet", ("feed", "ads"))
    assert allowed_SN.tolist() == [[False, True, False], [True, True, False]]
    assert titles(tmp_path / "items.parquet") == ["one", "i2", "i3"]
