"""`redrec run`: a folder or a recipe that it cannot use is refused; tests/pipelines/test_local.py has whole runs."""

from pathlib import Path

import pytest

from tests.cli.conftest import EVENTS, status_and_error


def test_a_run_folder_with_other_files_is_left_alone(tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    events, items = tables
    status, error = status_and_error(capsys, "run", "--events", events, "--items", items, "--out", events.parent)
    assert status == 2
    assert "events.csv" in error and "Give a new folder" in error
    assert events.read_text() == EVENTS


def test_an_unknown_recipe_key_is_named(tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    events, items = tables
    recipe = events.with_name("recipe.yaml")
    recipe.write_text("optimiser: {num_steps: 3}\n")
    status, error = status_and_error(
        capsys, "run", "--events", events, "--items", items, "--out", events.parent / "out", "--recipe", recipe
    )
    assert status == 2
    assert "optimiser" in error and "optimizer" in error
