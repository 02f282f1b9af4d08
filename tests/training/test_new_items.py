"""New items: a model on a catalog that it was not trained on: what it knows stays, what is new comes from its text."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.prepare import DataConfig, prepare
from redrec.folders import DataFolder, ModelFolder, TablesFolder, read_json, write_json
from redrec.model.encoders.config import IdsOnlyConfig
from redrec.training.new_items import with_new_items
from tests.worlds import SMALL_RECIPE

Change = Callable[[pa.Table], pa.Table]


def kept(table: pa.Table) -> pa.Table:
    return table


def prepared(
    data: Path, out: Path, events: Change = kept, items: Change = kept, config: DataConfig = SMALL_RECIPE.data
):
    """Prepare changed tables of the world again, and return the data folder."""
    tables, changed = TablesFolder(data.parent / "tables"), TablesFolder(out)
    out.mkdir()
    pq.write_table(events(pq.read_table(tables.events)), changed.events)
    pq.write_table(items(pq.read_table(tables.items)), changed.items)
    prepare(changed.events, changed.items, out / "data", config)
    return out / "data"


def with_first_again(items: pa.Table) -> pa.Table:
    """Return the items with two new ones instead of the last: one with the text of the first, one without text.

    The second has another text than before.
    """
    texts = [field.name for field in items.schema if pa.types.is_string(field.type) and field.name != "item_id"]
    first, second, *others, _ = items.to_pylist()
    empty = {**first, **dict.fromkeys(texts), "title": "", "tags": None, "item_id": "b-new"}
    rows = [first, {**second, "title": "something else"}, *others, {**first, "item_id": "a-new"}, empty]
    return pa.Table.from_pylist(rows, items.schema)


def ids_of(data: Path) -> list[str]:
    return pq.read_table(DataFolder(data).items)["item_id"].to_pylist()


def test_a_known_item_keeps_its_vectors_and_a_new_one_has_those_of_its_words(data: Path, model: Path, tmp_path: Path):
    newer = prepared(data, tmp_path / "newer", items=with_first_again)
    assert with_new_items(model, newer, tmp_path / "model") == 2
    before, after = dict(enumerate(ids_of(data))), ids_of(newer)
    assert len(after) == len(before) + 1
    for name in ("item_vectors", "item_embeddings"):
        old_NX, new_NX = (np.load(getattr(ModelFolder(folder), name)) for folder in (model, tmp_path / "model"))
        for row, item in before.items():
            if item in after:
                np.testing.assert_array_equal(new_NX[after.index(item)], old_NX[row])
        first = pq.read_table(data.parent / "tables" / "items.parquet")["item_id"][0].as_py()
        np.testing.assert_allclose(new_NX[after.index("a-new")], new_NX[after.index(first)], atol=2e-3)
        assert np.isfinite(new_NX).all() and np.abs(new_NX[after.index("b-new")]).max() > 0


def test_a_shorter_log_does_not_make_an_item_younger(data: Path, model: Path, tmp_path: Path):
    newer = prepared(data, tmp_path / "newer", events=lambda events: events.sort_by("timestamp").slice(2000))
    assert with_new_items(model, newer, tmp_path / "model") == 0
    old, new = (np.load(ModelFolder(folder).ranker)["first_ms_N"] for folder in (model, tmp_path / "model"))
    assert (new <= old).all()


def test_scenarios_in_another_order_or_unknown_ones_are_refused(data: Path, model: Path, tmp_path: Path):
    def with_shop(events: pa.Table) -> pa.Table:
        column = events.schema.get_field_index("scenario")
        return events.set_column(column, "scenario", pa.array(["shop"] * 50 + events["scenario"].to_pylist()[50:]))

    turned = SMALL_RECIPE.data.model_copy(update={"scenarios": ("ads", "search", "homefeed")})
    every = SMALL_RECIPE.data.model_copy(update={"scenarios": None})
    for name, change, config in (("turned", kept, turned), ("shop", with_shop, every)):
        newer = prepared(data, tmp_path / name, events=change, config=config)
        with pytest.raises(InputError, match="Set data.scenarios in the recipe to the model's"):
            with_new_items(model, newer, tmp_path / f"{name}-model")


def test_a_model_of_ids_knows_no_new_items(data: Path, model: Path, tmp_path: Path):
    newer = prepared(data, tmp_path / "newer", items=with_first_again)
    shutil.copytree(model, tmp_path / "ids")
    tower = {"encoder": IdsOnlyConfig().model_dump(), "num_id_buckets": 400}
    recipe = read_json(ModelFolder(model).recipe)
    write_json(ModelFolder(tmp_path / "ids").recipe, recipe | {"item_tower": tower})
    with pytest.raises(InputError, match="2 items of .* are new to it. Train again, without item_tower.num_id_buckets"):
        with_new_items(tmp_path / "ids", newer, tmp_path / "model")


def test_a_model_that_does_not_name_its_items_is_refused(data: Path, model: Path, tmp_path: Path):
    shutil.copytree(model, tmp_path / "old")
    ModelFolder(tmp_path / "old").item_ids.unlink()
    with pytest.raises(InputError, match="does not say which items it knows.*Train again"):
        with_new_items(tmp_path / "old", data, tmp_path / "model")
