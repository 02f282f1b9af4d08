"""Changes: a catalog's items are new, changed or withdrawn by their ids and by what the item tower reads of them."""

from pathlib import Path
from typing import Any

import pytest

from redrec.config import InputError
from redrec.folders import DataFolder, ModelFolder, write_json
from redrec.model.config import ItemTowerConfig
from redrec.model.encoders.config import HashedConfig
from redrec.training.changes import catalog_changes, write_known_items
from redrec.training.recipe import Recipe
from tests.model.catalogs import write_items

CONFIG = ItemTowerConfig(encoder=HashedConfig(fields=("title", "tags")))
ROWS = [{"item_id": item, "title": f"tea {item}", "body": "x", "tags": ["leaf"]} for item in "abcd"]


def model_of(folder: Path, config: ItemTowerConfig = CONFIG) -> Path:
    folder.mkdir()
    write_json(ModelFolder(folder).recipe, Recipe(item_tower=config).model_dump(mode="json"))
    write_known_items(write_items(folder, ROWS), config, ModelFolder(folder).item_ids)
    return folder


def data_of(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    assert write_items(folder, rows) == DataFolder(folder).items
    return folder


def test_an_item_is_embedded_if_it_is_new_or_its_content_has_changed(tmp_path: Path):
    """In another order; b has another tag, c another body, which the encoder does not read, and d is gone."""
    a, b, c, _ = ROWS
    newer = data_of(tmp_path / "data", [{**c, "body": "y"}, {**a, "item_id": "e"}, {**b, "tags": ["cup"]}, a])
    changes = catalog_changes(model_of(tmp_path / "model"), newer)
    assert changes.known_N.tolist() == [2, -1, 1, 0]
    assert changes.is_kept_N.tolist() == [True, False, False, True]
    assert changes.to_embed().tolist() == [1, 2]
    counts = {"embedded_items": 2, "new_items": 1, "changed_items": 1, "withdrawn_items": 1}
    assert changes.counts() == counts


def test_a_text_that_is_as_it_was_again_is_no_change(tmp_path: Path):
    changes = catalog_changes(model_of(tmp_path / "model"), data_of(tmp_path / "data", ROWS[::-1]))
    assert changes.counts() == dict.fromkeys(changes.counts(), 0)


def test_a_model_of_ids_embeds_changed_items_and_refuses_new_ones(tmp_path: Path):
    model = model_of(tmp_path / "model", CONFIG.model_copy(update={"num_id_buckets": 8}))
    changed = data_of(tmp_path / "changed", [{**ROWS[0], "title": "coffee"}, *ROWS[1:]])
    assert catalog_changes(model, changed).to_embed().tolist() == [0]
    with pytest.raises(InputError, match="1 items of .* are new to it. Train again"):
        catalog_changes(model, data_of(tmp_path / "new", [*ROWS, {**ROWS[0], "item_id": "e"}]))
