"""The local run: the same pipeline function, each step in a process, and either all results or none."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.local import run_training
from pipelines.progress import RunError
from redrec.bundle.reader import Bundle
from redrec.config import InputError, load_config
from redrec.folders import RunFolder, read_json
from redrec.training.config import OptimizerConfig
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from tests.worlds import TinyRun, names_of_new_run

BAD_EVENTS = "user_id,item_id,scenario,action,timestamp\nu1,absent,ads,click,2024-01-01 00:00:00\n"


def test_a_run_writes_exactly_the_files_of_a_run_folder(tiny_run: TinyRun):
    assert {p.name for p in tiny_run.folder.iterdir()} == names_of_new_run(tiny_run.folder)
    assert {p.name for p in tiny_run.folder.parent.iterdir()} == {"input", "run"}


def test_the_bundle_of_a_run_loads_and_carries_its_metrics(tiny_run: TinyRun):
    bundle = Bundle.load(RunFolder(tiny_run.folder).bundle)
    metrics = read_json(RunFolder(tiny_run.folder).metrics)
    assert set(bundle.manifest.scenarios) == set(metrics["scenarios"]) == {"homefeed", "search", "ads"}
    for models in metrics["scenarios"].values():
        assert {"redrec", "popularity", "mean_of_last_n"} <= set(models)
        assert set(models["redrec"]["hit_rate@10"]) == {"value", "low", "high", "users"}


def test_the_recipe_of_a_run_trains_the_same_model(tiny_run: TinyRun):
    given = tiny()
    saved = load_config(Recipe, RunFolder(tiny_run.folder).recipe)
    assert saved == given.resolved(num_users=0, has_cutoff=True)  # its number of steps is given, whatever the users
    assert given.batch.target_window is None and saved.batch.target_window == 5


def test_progress_names_each_step_once_and_no_internals(tiny_run: TinyRun):
    steps = [line for line in tiny_run.progress if not line.startswith(" ")]
    assert sorted(set(steps) - {"publish-bundle"}) == [  # that depends on the quality gate
        "build-bundle",
        "check-quality",
        "evaluate-model",
        "identify-inputs",
        "materialize-features",
        "prepare-data",
        "report-drift",
        "train-towers",
    ]
    assert not [line for line in tiny_run.progress if "executor" in line or "registry" in line.lower()]
    assert any("loss" in line for line in tiny_run.progress)
    assert len([line for line in tiny_run.progress if "MiB of memory" in line]) == len(steps)


def test_a_failed_run_keeps_the_earlier_one_and_adds_its_log(tiny_run: TinyRun, tmp_path: Path):
    out, log = tmp_path / "run", RunFolder(tmp_path / "run").log
    shutil.copytree(tiny_run.folder, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p != log}
    bad = tmp_path / "events.csv"  # it is read, and only then refused
    bad.write_text(BAD_EVENTS)

    with pytest.raises(InputError):
        run_training(bad, tiny_run.items, out)

    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p != log} == before
    assert "BadRowsError" in log.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events.csv", "run"]


def test_a_new_run_replaces_the_earlier_one_as_a_whole(tiny_run: TinyRun, tmp_path: Path, monkeypatch):
    """With the results of an earlier run in the place of the steps' outputs."""

    def steps_of(pipeline: str, arguments: dict[str, str], steps: Path, log: Path, progress: object) -> None:
        run, outputs = RunFolder(tiny_run.folder), steps / "redrec-train-now"
        release = RunFolder(outputs / "build-bundle" / "release")
        shutil.copytree(run.bundle, release.bundle)
        shutil.copytree(run.features, release.features)
        shutil.copytree(run.drift, outputs / "report-drift" / "drift")
        for step, names in {
            "evaluate-model/evaluation": ("metrics.json", "users.parquet", "examples.json", "recipe.yaml"),
            "prepare-data/data": ("data_quality.json", "quarantine.parquet"),
        }.items():
            (outputs / step).mkdir(parents=True)
            for name in names:
                shutil.copy(tiny_run.folder / name, outputs / step / name)
        shutil.copytree(run.model, outputs / "train-towers" / "model")
        (outputs / "check-quality").mkdir()
        shutil.copy(run.quality_gate, outputs / "check-quality" / "gate")
        log.touch()

    monkeypatch.setattr("pipelines.local.run_child", steps_of)
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    (tmp_path / "run" / "bundle" / "of_the_earlier_one").touch()
    run_training(tiny_run.events, tiny_run.items, tmp_path / "run")
    assert not (tmp_path / "run" / "bundle" / "of_the_earlier_one").exists()
    assert Bundle.load(tmp_path / "run" / "bundle").manifest == Bundle.load(tiny_run.folder / "bundle").manifest
    assert {p.name for p in (tmp_path / "run").iterdir()} == names_of_new_run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_failed_step_ends_the_run_with_its_last_lines(tiny_run: TinyRun, tmp_path: Path):
    recipe = tiny().model_copy(update={"optimizer": OptimizerConfig(num_steps=20, learning_rate=1e30)})
    with pytest.raises(RunError, match=r"(?s)train-towers failed.*ArithmeticError.*The whole log: .*log\.txt"):
        run_training(tiny_run.events, tiny_run.items, tmp_path / "run", recipe.model_dump_json())
    assert list((tmp_path / "run").iterdir()) == [RunFolder(tmp_path / "run").log]


def test_a_wrong_recipe_is_an_input_error(tiny_run: TinyRun, tmp_path: Path):
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
    wait_until(lambda: processes_about(tmp_path) == [])  # its steps end with it
    assert len(list(tmp_path.glob(".run-*"))) == 1

    (tmp_path / "events.csv").write_text(BAD_EVENTS)
    with pytest.raises(InputError, match="1 of 1 rows are bad"):
        run_training(tmp_path / "events.csv", tiny_run.items, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "run"]


def wait_until(is_done: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_done():
            return
        time.sleep(0.1)
    raise TimeoutError


def processes_about(folder: Path) -> list[int]:
    commands = {path.parent.name: command(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [int(pid) for pid, text in commands.items() if str(folder).encode() in text]


def command(path: Path) -> bytes:
    """Return the command line of a process; of one that has just ended there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
