import numpy as np

from redrec.model.encoders.hashed import HashedConfig, write_hashed
from tests.model.catalogs import write_items


def test_tags_categories_and_ids_are_hashed_whole(tmp_path):
    """Two tags and an id are three features; as words it would be more."""
    rows = [{"tags": ["very green", "loose leaf"]}, {"tags": None}]
    content = write_hashed(write_items(tmp_path, rows), tmp_path / "content", HashedConfig(fields=("tags", "item_id")))
    begins_M = content.of(np.arange(2))["begins_M"]
    assert begins_M.tolist() == [0, 3]
    assert len(content.of(np.array([1]))["tokens_T"]) == 1
