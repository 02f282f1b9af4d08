"""`redrec run`: a folder or a recipe that it cannot use is refused; tests/pipelines/test_local.py has whole runs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import EVENTS, status_and_error
from tests.house.source import ROOT
from tests.pipelines.test_local import processes_about, wait_until
from tests.worlds import TinyRun


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


def test_a_run_that_is_ended_leaves_neither_steps_nor_folders(tiny_run: TinyRun, tmp_path: Path):
    tables = ["--events", str(tiny_run.events), "--items", str(tiny_run.items)]
    command = [sys.executable, "-m", "cli.main", "run", *tables, "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as ended:
        wait_until(lambda: any(tmp_path.glob(".run-*/new/log.txt")))
        ended.send_signal(signal.SIGTERM)
        assert ended.wait(60) == 128 + signal.SIGTERM
    wait_until(lambda: processes_about(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []
