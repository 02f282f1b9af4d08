"""New items: a model on a catalog that it was not trained on: what it knows stays, the rest comes from its text."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from redrec.config import InputError
from redrec.data.prepare import DataConfig, prepare
from redrec.folders import DataFolder, ModelFolder, TablesFolder, read_json, write_json
from redrec.model.encoders.config import IdsOnlyConfig
from redrec.training.changes import Changes
from redrec.training.new_items import embed_shard, with_new_items
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


def refreshed(model: Path, data: Path, out: Path, count: int = 1) -> Changes:
    shards = [out.parent / f"{out.name}-shards" / str(index) for index in range(count)]
    for index, shard in enumerate(shards):
        embed_shard(model, data, index, count, shard)
    return with_new_items(model, data, shards, out)


def ids_of(data: Path) -> list[str]:
    return pq.read_table(DataFolder(data).items)["item_id"].to_pylist()


@pytest.fixture(scope="module")
def newer(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(data, tmp_path_factory.mktemp("newer") / "newer", items=with_first_again)


@pytest.fixture(scope="module")
def whole(model: Path, newer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model for the newer catalog, embedded as one shard."""
    out = tmp_path_factory.mktemp("whole") / "model"
    refreshed(model, newer, out)
    return out


ROOT = Path(__file__).parents[2]
ARRAYS = ("item_vectors", "item_embeddings")


def arrays_of(model: Path) -> list[np.ndarray]:
    return [np.load(getattr(ModelFolder(model), name)) for name in ARRAYS]


def test_only_new_and_changed_items_are_embedded(model: Path, data: Path, newer: Path, tmp_path: Path):
    counts = {"embedded_items": 3, "new_items": 2, "changed_items": 1, "withdrawn_items": 1}
    assert refreshed(model, newer, tmp_path / "model").counts() == counts
    assert refreshed(model, data, tmp_path / "same").counts() == dict.fromkeys(counts, 0)
    for same, trained in zip(arrays_of(tmp_path / "same"), arrays_of(model), strict=True):
        np.testing.assert_array_equal(same, trained)


def test_an_unchanged_item_keeps_its_vectors_and_all_others_have_those_of_their_words(
    data: Path, model: Path, newer: Path, whole: Path
):
    before, after = ids_of(data), ids_of(newer)
    first, second = pq.read_table(data.parent / "tables" / "items.parquet")["item_id"].to_pylist()[:2]
    for old_NX, new_NX in zip(arrays_of(model), arrays_of(whole), strict=True):
        assert len(new_NX) == len(before) + 1
        for row, item in enumerate(after):
            if item in before and item != second:
                np.testing.assert_array_equal(new_NX[row], old_NX[before.index(item)])
        np.testing.assert_allclose(new_NX[after.index("a-new")], new_NX[after.index(first)], atol=2e-3)
        assert np.abs(new_NX[after.index(second)] - old_NX[before.index(second)]).max() > 0.01
        assert np.isfinite(new_NX).all() and np.abs(new_NX[after.index("b-new")]).max() > 0


@pytest.mark.parametrize("count", [2, 3, 5])
def test_any_number_of_shards_gives_the_vectors_of_one(model: Path, newer: Path, whole: Path, tmp_path: Path, count):
    refreshed(model, newer, tmp_path / "model", count)
    for sharded, alone in zip(arrays_of(tmp_path / "model"), arrays_of(whole), strict=True):
        np.testing.assert_allclose(sharded, alone, atol=2e-3)


KILLED = """
import os, signal, sys
from pathlib import Path
from redrec.training.new_items import embed_shard

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
embed_shard(Path(sys.argv[2]), Path(sys.argv[3]), 1, 3, Path(sys.argv[4]))
"""


@pytest.mark.parametrize("killed_when_opening", ["/item_embeddings.npy", "shard.json.new"])
def test_after_a_kill_only_the_shard_that_is_not_whole_is_embedded(
    model: Path, newer: Path, whole: Path, tmp_path: Path, killed_when_opening: str
):
    shards = [tmp_path / "shards" / str(index) for index in range(3)]
    embed_shard(model, newer, 0, 3, shards[0])
    written = {path: path.stat().st_mtime_ns for path in shards[0].iterdir()}
    arguments = [killed_when_opening, str(model), str(newer), str(shards[1])]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL and not shards[1].exists()
    assert [embed_shard(model, newer, index, 3, shard) for index, shard in enumerate(shards)] == [1, 1, 1]
    assert {path: path.stat().st_mtime_ns for path in shards[0].iterdir()} == written
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == ["0", "1", "2"]
    with_new_items(model, newer, shards, tmp_path / "model")
    for resumed, alone in zip(arrays_of(tmp_path / "model"), arrays_of(whole), strict=True):
        np.testing.assert_allclose(resumed, alone, atol=2e-3)


def test_a_shard_with_a_vector_that_is_not_finite_is_named(model: Path, newer: Path, tmp_path: Path):
    shutil.copytree(model, tmp_path / "broken")
    for weights in ModelFolder(tmp_path / "broken").checkpoint.glob("*.safetensors"):
        tensors = load_file(weights)
        if "items.head.weight" in tensors:
            save_file({**tensors, "items.head.weight": tensors["items.head.weight"] * float("nan")}, weights)
    with pytest.raises(InputError, match="Shard 1 of 2: .*nan, infinite.*Check that the weights"):
        embed_shard(tmp_path / "broken", newer, 1, 2, tmp_path / "shard")
    assert not (tmp_path / "shard").exists()


def test_an_index_that_is_no_shard_is_refused(model: Path, newer: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no shard 2 of 2. Give an index of 0 to 1"):
        embed_shard(model, newer, 2, 2, tmp_path / "shard")


def test_a_shorter_log_does_not_make_an_item_younger(data: Path, model: Path, tmp_path: Path):
    newer = prepared(data, tmp_path / "newer", events=lambda events: events.sort_by("timestamp").slice(2000))
    assert refreshed(model, newer, tmp_path / "model").counts()["embedded_items"] == 0
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
            refreshed(model, newer, tmp_path / f"{name}-model")


def test_a_model_of_ids_knows_no_new_items(newer: Path, model: Path, tmp_path: Path):
    shutil.copytree(model, tmp_path / "ids")
    tower = {"encoder": IdsOnlyConfig().model_dump(), "num_id_buckets": 400}
    recipe = read_json(ModelFolder(model).recipe)
    write_json(ModelFolder(tmp_path / "ids").recipe, recipe | {"item_tower": tower})
    with pytest.raises(InputError, match="2 items of .* are new to it. Train again, without item_tower.num_id_buckets"):
        refreshed(tmp_path / "ids", newer, tmp_path / "model")


def test_a_model_that_does_not_name_its_items_or_their_content_is_refused(data: Path, model: Path, tmp_path: Path):
    shutil.copytree(model, tmp_path / "old")
    known = ModelFolder(tmp_path / "old").item_ids
    pq.write_table(pq.read_table(known, columns=["item_id"]), known)
    with pytest.raises(InputError, match="does not say which items it knows.*column content_hash. Train again"):
        refreshed(tmp_path / "old", data, tmp_path / "model")
    known.unlink()
    with pytest.raises(InputError, match="does not say which items it knows.*Train again"):
        refreshed(tmp_path / "old", data, tmp_path / "model")
