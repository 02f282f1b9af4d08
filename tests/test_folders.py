"""Folders: each file has one name, a run knows all that it writes, and JSON is written whole."""

import json
from pathlib import Path

import pytest

from redrec.folders import BundleFolder, DataFolder, ModelFolder, RunFolder, ShardFolder, read_json, write_json


def test_a_run_folder_names_all_that_a_run_writes():
    names = {"bundle", "features", "drift", "metrics.json", "users.parquet", "examples.json"}
    names |= {
        "model",
        "bundles",
        "bundle.broken",
        "data_quality.json",
        "quarantine.parquet",
        "quality_gate.json",
        "recipe.yaml",
        "log.txt",
    }
    assert RunFolder(Path("run")).names == names  # the contract of the command line


@pytest.mark.parametrize("folder", [DataFolder, ModelFolder, ShardFolder, BundleFolder, RunFolder])
def test_no_two_files_of_a_folder_share_a_path(folder):
    paths = list(vars(folder(Path("folder"))).values())
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to("folder") for path in paths)


def test_each_process_of_a_training_run_has_files_of_its_own():
    folder = ModelFolder(Path("model"))
    assert len({folder.failed_batch(0), folder.failed_batch(1), folder.validation(0), folder.validation(1)}) == 4


def test_json_comes_back_and_a_failed_write_leaves_the_old(tmp_path: Path):
    write_json(tmp_path / "file.json", {"title": "Küche", "items": [1, None]})
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {"title": object()})
    assert read_json(tmp_path / "file.json") == {"title": "Küche", "items": [1, None]}
    assert "Küche" in (tmp_path / "file.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "file.json").read_text()) and len(list(tmp_path.iterdir())) == 1
