"""The local run: the very pipeline function, step by step in processes, published whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import run_result
from pipelines.local import RunError, run_training
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.folders import RunFolder
from redrec.training.optimizer import OptimizerConfig
from redrec.training.presets import tiny
from tests.worlds import TinyRun


def test_a_run_leaves_the_contracts_files_and_nothing_else(tiny_run: TinyRun):
    assert {p.name for p in tiny_run.folder.iterdir()} == RunFolder(tiny_run.folder).names
    assert {p.name for p in tiny_run.folder.parent.iterdir()} == {"input", "run"}


def test_the_bundle_of_a_run_loads_and_carries_its_metrics(tiny_run: TinyRun):
    bundle = Bundle.load(tiny_run.folder / "bundle")
    metrics = json.loads((tiny_run.folder / "metrics.json").read_text())
    assert set(bundle.manifest.scenarios) == set(metrics["scenarios"]) == {"homefeed", "search", "ads"}
    for models in metrics["scenarios"].values():
        assert {"redrec", "popularity", "mean_of_last_n"} <= set(models)
        assert set(models["redrec"]["hit_rate@10"]) == {"value", "low", "high", "users"}


def test_progress_names_each_step_once_and_no_internals(tiny_run: TinyRun):
    steps = [line for line in tiny_run.progress if not line.startswith(" ")]
    assert sorted(steps) == [
        "build-bundle",
        "evaluate-model",
        "materialize-features",
        "prepare-data",
        "report-drift",
        "train-towers",
    ]
    assert not [line for line in tiny_run.progress if "executor" in line or "registry" in line.lower()]
    assert any("loss" in line for line in tiny_run.progress)


def test_the_report_of_a_run_can_be_read_by_a_person(tiny_run: TinyRun):
    text = run_result.run_text(run_result.read_run(tiny_run.folder))
    assert "hit_rate@10" in text and "mean_of_last_n" in text and "without homefeed" in text
    assert f"serve --bundle {tiny_run.folder / 'bundle'}" in text


def test_a_failed_run_keeps_the_earlier_one_and_adds_its_log(tiny_run: TinyRun, tmp_path: Path):
    out = tmp_path / "run"
    shutil.copytree(tiny_run.folder, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "log.txt"}
    empty = tmp_path / "events.csv"
    empty.touch()

    with pytest.raises(InputError):
        run_training(empty, tiny_run.items, out)

    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != "log.txt"} == before
    assert "InputError" in (out / "log.txt").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events.csv", "run"]


def test_a_new_run_replaces_the_earlier_one_as_a_whole(tiny_run: TinyRun, tmp_path: Path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    (tmp_path / "run" / "bundle" / "of_the_earlier_one").touch()
    run_training(tiny_run.events, tiny_run.items, tmp_path / "run", tiny().model_dump_json())
    assert not (tmp_path / "run" / "bundle" / "of_the_earlier_one").exists()
    assert {p.name for p in (tmp_path / "run").iterdir()} == RunFolder(tmp_path).names
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_step_that_dies_ends_the_run_with_its_last_lines(tiny_run: TinyRun, tmp_path: Path):
    recipe = tiny().model_copy(update={"optimizer": OptimizerConfig(num_steps=20, learning_rate=1e30)})
    with pytest.raises(RunError, match=r"(?s)train-towers failed.*ArithmeticError.*The whole log: .*log\.txt"):
        run_training(tiny_run.events, tiny_run.items, tmp_path / "run", recipe.model_dump_json())
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["log.txt"]


def test_a_recipe_that_is_wrong_is_the_callers_to_mend(tiny_run: TinyRun, tmp_path: Path):
    with pytest.raises(InputError, match=r"recipe, section data: .*engine"):
        run_training(tiny_run.events, tiny_run.items, tmp_path / "run", '{"data": {"engine": "oracle"}}')


def test_an_interrupted_run_leaves_nothing_running_and_nothing_behind(tiny_run: TinyRun, tmp_path: Path):
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(tiny_run.events, tiny_run.items, tmp_path / "run", tiny().model_dump_json(), interrupt)
    assert list(tmp_path.iterdir()) == []
    assert processes_about(tmp_path) == []


def test_what_a_killed_run_left_is_removed_by_the_next_run_of_the_same_folder(tiny_run: TinyRun, tmp_path: Path):
    arguments = [str(path) for path in (tiny_run.events, tiny_run.items, tmp_path / "run")]
    script = (
        f"from pathlib import Path\nfrom pipelines.local import run_training\nrun_training(*map(Path, {arguments}))"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2]) as killed:
        wait_until(lambda: any(tmp_path.glob(".run-*/new/log.txt")))
        killed.kill()
    for pid in processes_about(tmp_path):  # the steps live on: they are not this test's matter
        os.kill(pid, signal.SIGKILL)
    assert len(list(tmp_path.glob(".run-*"))) == 1

    (tmp_path / "events.csv").touch()
    with pytest.raises(InputError, match="0 bytes"):
        run_training(tmp_path / "events.csv", tiny_run.items, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "run"]


def wait_until(is_done: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_done():
            return
        time.sleep(0.1)
    raise TimeoutError


def processes_about(folder: Path) -> list[int]:
    commands = [path for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)]
    return [int(path.parent.name) for path in commands if str(folder).encode() in path.read_bytes()]


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:  # the process has just ended
        return False
    return True
