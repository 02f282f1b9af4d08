"""Release: a model trained by its own command becomes a run folder; one that does not belong to the data is refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cli.main import main
from redrec.bundle.reader import Bundle
from redrec.data.prepare import prepare
from redrec.data.split import read_split
from redrec.folders import RunFolder
from redrec.training.presets import tiny
from redrec.training.trainer import train
from tests.bundles import write_tables


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with `tables`, `data` and `model`."""
    folder = tmp_path_factory.mktemp("trained")
    prepare(*write_tables(folder / "tables"), folder / "data")
    train(folder / "data", folder / "model", tiny())
    return folder


def release(data: Path, model: Path, out: Path) -> int:
    return main(["release", "--json", "--data", str(data), "--model", str(model), "--out", str(out)])


def test_a_trained_model_becomes_a_run_that_can_be_served_and_pushed_to(trained, tmp_path, capsys):
    out = tmp_path / "run"
    assert release(trained / "data", trained / "model", out) == 0
    found = json.loads(capsys.readouterr().out)
    bundle = Bundle.load(out / "bundle")
    assert {path.name for path in out.iterdir()} == RunFolder(out).names
    assert found["bundle_id"] == bundle.manifest.id
    assert found["metrics"]["scenarios"].keys() == set(bundle.manifest.scenarios)
    exported_ND = np.load(trained / "model" / "export" / "item_embeddings.npy")
    np.testing.assert_array_equal(bundle.embeddings_ND, exported_ND)

    event = "user_id,item_id,scenario,action,timestamp\nuser-0,item-001,search,click,2025-05-01 00:00:00\n"
    (tmp_path / "new.csv").write_text(event)
    assert main(["push", "--json", "--run", str(out), "--events", str(tmp_path / "new.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 1


def not_finished(data: Path, model: Path) -> None:
    (model / "model.json").unlink()


def other_scenarios(data: Path, model: Path) -> None:
    split = read_split(data)
    split.model_copy(update={"scenarios": split.scenarios[::-1]}).write(data)


def other_items(data: Path, model: Path) -> None:
    items = pq.read_table(data / "items.parquet")
    titles = pc.utf8_upper(items["title"])
    pq.write_table(items.set_column(items.schema.get_field_index("title"), "title", titles), data / "items.parquet")


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
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.txt").write_text("of the run before")
    assert release(tmp_path / "data", tmp_path / "model", tmp_path / "run") == 2
    assert re.search(complaint, capsys.readouterr().err)
    assert (tmp_path / "run" / "log.txt").read_text() == "of the run before"
