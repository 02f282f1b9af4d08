"""`redrec release`: a model trained elsewhere becomes a run folder; one that does not fit the data is refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cli.main import main
from cli.release import released_recipe
from redrec.bundle.reader import Bundle
from redrec.config import InputError, changed, load_config
from redrec.data.prepare import prepare
from redrec.data.split import read_split
from redrec.drift.verdicts import Drift
from redrec.folders import DataFolder, DriftFolder, ModelFolder, RunFolder
from redrec.model.manifest import read_model
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from redrec.training.trainer import train
from tests.bundles import write_tables
from tests.worlds import TinyRun, names_of_new_run

RESOLVED = tiny().resolved(num_users=0, has_cutoff=True)  # its number of steps is given, whatever the users


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with `tables`, `data` and `model`."""
    folder = tmp_path_factory.mktemp("trained")
    prepare(*write_tables(folder / "tables"), folder / "data")
    train(folder / "data", folder / "model", tiny())
    return folder


def release(data: Path, model: Path, out: Path, *options: str) -> int:
    return main(["release", "--json", "--data", str(data), "--model", str(model), "--out", str(out), *options])


def test_a_trained_model_becomes_a_run_that_can_be_served_and_pushed_to(trained, tmp_path, capsys):
    """Its recipe file sets the index of the bundle and the thresholds of the drift verdicts."""
    out, recipe = RunFolder(tmp_path / "run"), tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"index": {"milvus": {"index_type": "HNSW"}}, "drift": {"min_users": 150}}))
    assert release(trained / "data", trained / "model", out.path, "--recipe", str(recipe)) == 0
    shown = json.loads(capsys.readouterr().out)
    bundle = Bundle.load(out.bundle)
    assert {path.name for path in out.path.iterdir()} == names_of_new_run(out.path) - {"model"}
    assert shown["bundle_id"] == bundle.manifest.id
    assert shown["metrics"]["scenarios"].keys() == set(bundle.manifest.scenarios)
    exported_ND = np.load(ModelFolder(trained / "model").item_embeddings)
    np.testing.assert_array_equal(bundle.embeddings_ND, exported_ND)

    assert bundle.manifest.index.config.milvus.index_type == "HNSW"
    assert set(load_config(Drift, DriftFolder(out.drift).verdicts).verdicts.values()) == {"insufficient"}

    event = "user_id,item_id,scenario,action,timestamp\nuser-0,item-001,search,click,2025-05-01 00:00:00\n"
    (tmp_path / "new.csv").write_text(event)
    assert main(["push", "--json", "--run", str(out.path), "--events", str(tmp_path / "new.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 1


def test_without_a_recipe_option_the_models_own_recipe_is_used(trained, tiny_run: TinyRun, tmp_path, monkeypatch):
    recipes = []

    def copied_run(data: Path, model: Path, out: Path, recipe: str, progress: object) -> Path:
        recipes.append(json.loads(recipe))
        return Path(shutil.copytree(tiny_run.folder, out))

    monkeypatch.setattr("pipelines.local.run_release", copied_run)
    assert release(trained / "data", trained / "model", tmp_path / "run") == 0
    assert recipes == [read_model(trained / "model").recipe]
    assert Recipe.model_validate(recipes[0]) == RESOLVED


def test_settings_change_the_models_own_recipe(trained):
    recipe = json.loads(released_recipe(None, ["drift.min_users=150"], trained / "model"))
    assert Recipe.model_validate(recipe) == changed(RESOLVED, ["drift.min_users=150"])


@pytest.mark.parametrize("recipe", [None, "redrec"])
def test_a_setting_of_the_training_is_refused(trained, recipe):
    settings = ["optimizer.num_steps=7,drift.min_users=150", "seed=3"]
    with pytest.raises(InputError, match=r"--set of optimizer, seed has no effect .* Allowed are data, quality_gate, "):
        released_recipe(recipe, settings, trained / "model")


def not_finished(data: Path, model: Path) -> None:
    ModelFolder(model).manifest.unlink()


def other_scenarios(data: Path, model: Path) -> None:
    split = read_split(data)
    split.model_copy(update={"scenarios": split.scenarios[::-1]}).write(data)


def other_items(data: Path, model: Path) -> None:
    path = DataFolder(data).items
    items = pq.read_table(path)
    titles = pc.utf8_upper(items["title"])
    pq.write_table(items.set_column(items.schema.get_field_index("title"), "title", titles), path)


def no_data(data: Path, model: Path) -> None:
    shutil.rmtree(data)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (not_finished, r"model holds no finished model: it has no model\.json. Train it, or resume"),
        (other_scenarios, "was trained for scenarios=.*, and .*data has scenarios=.*Train on"),
        (other_items, "model was trained on other items than .*data has"),
        (no_data, "data is no data folder"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_the_run_stays(trained, tmp_path, capsys, broken, complaint):
    for name in ("data", "model"):
        shutil.copytree(trained / name, tmp_path / name)
    broken(tmp_path / "data", tmp_path / "model")
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    run.log.write_text("of the run before")
    assert release(tmp_path / "data", tmp_path / "model", run.path) == 2
    assert re.search(complaint, capsys.readouterr().err)
    assert run.log.read_text() == "of the run before"
