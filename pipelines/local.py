"""Run a pipeline on this machine: the same pipeline function as on the cluster, each step in its own process.

The run writes to a new folder that replaces the target at the end, so a failed run leaves its log and nothing else. KFP
reports only which step failed; the reason is read from what the step itself says (`components.start`).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jobs.pod import TELEMETRY_OFF
from pipelines.parent import end_with_parent
from pipelines.progress import RunError, StepFailedError, find_failure, last_step_output, progress_lines
from redrec.atomic import replaced_folder
from redrec.config import InputError, section
from redrec.data.prepare import DataConfig, check_sources
from redrec.data.split import read_vocabulary
from redrec.folders import DataFolder, MonitorFolder, RunFolder, check_replaceable
from redrec.model.manifest import check_model_fits, read_model

ANSI = re.compile(r"\x1b\[[0-9;]*m")  # terminal colours
TAIL_LINES = 20
PATHS = ("events", "items", "history", "live", "releases", "workspace")  # or URLs


def run_training(
    events: str | Path,
    items: str | Path,
    out: Path,
    recipe: str = "",
    progress: Callable[[str], None] = lambda line: None,
) -> Path:
    """Run the train pipeline and write its results to `out`; return `out`.

    Args:
        events: Event log, a path or a URL (`redrec.data.sources`).
        items: Item table, likewise.
        out: Run folder; created, or replaced if it is an earlier run.
        recipe: Fields of the recipe as JSON; empty for the defaults.
        progress: Called with each line to show to the user.

    Raises:
        InputError: The input or `out` is unusable; nothing but the log was written.
        RunError: A step failed; the message ends with the tail of the log and its path.
    """
    check_replaceable(out, RunFolder(out).names, "run")
    check_sources(events, items, section(recipe, "data", DataConfig))  # before the processes of the steps are started
    arguments = {"events": address(events), "items": address(items), "recipe": recipe}
    return _run("train", arguments, None, out, progress)


def address(source: str | Path) -> str:
    """Return a table's path as a step in another folder finds it; a URL stays as it is."""
    return str(source) if "://" in str(source) else str(Path(source).absolute())


def run_release(
    data: Path, model: Path, out: Path, recipe: str, progress: Callable[[str], None] = lambda line: None
) -> Path:
    """Run the release pipeline on a data folder and a model that was trained on it; otherwise like `run_training`.

    Raises:
        InputError: As in `run_training`, or the model does not fit the data.
    """
    check_replaceable(out, RunFolder(out).names, "run")
    check_model_fits(read_model(model), model, data, read_vocabulary(data))
    arguments = {"data": str(data.resolve()), "model": str(model.resolve()), "recipe": recipe}
    return _run("release", arguments, data, out, progress)


class Monitored(NamedTuple):
    """The parameters of the monitor pipeline on this machine; an empty text is none."""

    events: str  # a path or a URL, like the other tables
    items: str
    recipe: str = ""
    history: str = ""
    webhook: str = ""
    pushgateway: str = ""
    workspace: str = ""
    service: str = "redrec"
    live: str = ""
    releases: str = ""

    def arguments(self) -> dict[str, str]:
        """Return the parameters as steps in other folders find what they name."""
        paths = {name: address(getattr(self, name)) for name in PATHS if getattr(self, name)}
        return {**self._asdict(), **paths}


def run_monitor(
    monitored: Monitored, out: Path, run: Path | None = None, progress: Callable[[str], None] = lambda line: None
) -> bool:
    """Run the monitor pipeline, write its drift report to `out`, and return whether it has trained.

    Args:
        monitored: The tables, and what the pipeline does with the verdicts.
        out: Folder with the report; created, or replaced if it is an earlier report.
        run: Run folder, which is replaced if drift starts a training; None: drift starts none.
        progress: Called with each line to show to the user.

    Raises:
        InputError: The input, `out` or `run` is unusable.
        RunError: A step failed; the message ends with the tail of the log and its path.
    """
    check_replaceable(out, MonitorFolder(out).names, "report")
    if run is not None:
        check_replaceable(run, RunFolder(run).names, "run")
    check_sources(monitored.events, monitored.items, section(monitored.recipe, "data", DataConfig))
    arguments = {**monitored.arguments(), "retrain": run is not None}
    with _steps_of("monitor", arguments, out, progress) as (new, outputs):
        files = MonitorFolder(new)
        shutil.copytree(outputs / "report-drift" / "drift", files.drift)
        has_trained = (outputs / "build-bundle").exists()
        if run is not None and has_trained:
            with replaced_folder(run) as trained:
                shutil.copy(files.log, RunFolder(trained).log)
                publish(outputs, DataFolder(outputs / "prepare-data" / "data"), RunFolder(trained))
    return has_trained


def _run(
    pipeline: str,
    arguments: dict[str, str],
    data: Path | None,
    out: Path,
    progress: Callable[[str], None],
) -> Path:
    """Run a pipeline and write its results to `out`; `data` is None if the step prepare-data makes the data folder."""
    with _steps_of(pipeline, arguments, out, progress) as (new, outputs):
        publish(outputs, DataFolder(data or outputs / "prepare-data" / "data"), RunFolder(new))
    return out


@contextmanager
def _steps_of(
    pipeline: str, arguments: Mapping[str, Any], out: Path, progress: Callable[[str], None]
) -> Iterator[tuple[Path, Path]]:
    """Run a pipeline, and yield the folder that becomes `out`, with the log, and the folder of the steps' artifacts."""
    with replaced_folder(out) as new:
        log, steps = RunFolder(new).log, new / "steps"
        try:
            run_child(pipeline, arguments, steps, log, progress)
        except (StepFailedError, subprocess.CalledProcessError) as error:
            out.mkdir(exist_ok=True)
            raise failure_error(Path(shutil.move(log, RunFolder(out).log)), str(error)) from error
        (outputs,) = steps.iterdir()
        yield new, outputs
        shutil.rmtree(steps)


def publish(outputs: Path, data: DataFolder, run: RunFolder) -> None:
    """Move the artifacts of the steps, `outputs / STEP / ARTIFACT`, to the run folder."""
    evaluation = RunFolder(outputs / "evaluate-model" / "evaluation")
    release = RunFolder(outputs / "build-bundle" / "release")
    moved = {
        evaluation.metrics: run.metrics,
        evaluation.users: run.users,
        evaluation.examples: run.examples,
        evaluation.recipe: run.recipe,
        release.bundle: run.bundle,
        release.features: run.features,
        outputs / "report-drift" / "drift": run.drift,
        outputs / "check-quality" / "gate": run.quality_gate,
    }
    trained = outputs / "train-towers" / "model"
    if trained.is_dir():
        moved[trained] = run.model
    for source, target in moved.items():
        shutil.move(source, target)
    shutil.copyfile(data.quality, run.quality)
    shutil.copyfile(data.quarantine, run.quarantine)


def run_child(
    pipeline: str, arguments: Mapping[str, Any], steps: Path, log: Path, progress: Callable[[str], None]
) -> None:
    """Run this module as a process, with all its output in `log`; it ends with its first failed step.

    Raises:
        StepFailedError: A step failed.
        CalledProcessError: The process failed outside a step, for example out of memory.
    """
    command = [sys.executable, "-m", "pipelines.local", pipeline, json.dumps(arguments), str(steps), str(os.getpid())]
    environment = os.environ | TELEMETRY_OFF | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": import_path()}
    with (
        log.open("w", encoding="utf-8") as log_file,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in progress_lines(tee(child.stdout, log_file.write), time.monotonic):
                progress(line)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)  # its steps too: they must not write to a folder that is being removed
            raise
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, command[:3])


def tee(lines: Iterable[str], write: Callable[[str], object]) -> Iterator[str]:
    """Yield the lines without terminal colours, each after `write` got it."""
    for line in lines:
        plain = ANSI.sub("", line)
        write(plain)
        yield plain


def import_path() -> str:
    """Return the PYTHONPATH with which the steps import the code of this process, installed or not."""
    root = str(Path(__file__).parents[1])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


def failure_error(log: Path, summary: str) -> Exception:
    """Return the exception for a failed run: the step's own `InputError`, or a `RunError` with its last lines."""
    text = log.read_text(encoding="utf-8")
    failure = find_failure(text)
    if failure is not None and failure.is_input_error:
        return InputError(failure.message)
    why = f": {failure.error}: {failure.message}" if failure else ""
    tail = "\n".join(last_step_output(text)[-TAIL_LINES:])
    return RunError(f"{summary}{why}\n\nThe step's last lines:\n{tail}\n\nThe whole log: {log}")


def main(pipeline: str, arguments: dict[str, Any], steps: Path) -> None:
    """Run the pipeline function in this child process, each step by KFP's local runner."""
    from kfp import local

    from pipelines.compile import PIPELINES
    from pipelines.settings import WITHOUT_RETRIES

    warnings.filterwarnings("ignore", message=".*have no effect in the current local runner")  # resources
    # workspace_root stays unset: KFP removes that folder at the end with everything in it.
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(steps), raise_on_error=True)
    PIPELINES[pipeline](WITHOUT_RETRIES)(**arguments)


if __name__ == "__main__":
    end_with_parent(int(sys.argv[4]))
    main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
