"""Run the training pipeline on this machine: the same pipeline function, each step a process of its own.

The run works in a folder beside the target and is renamed into place at the end, so a failed run leaves its
log and nothing else. KFP says only which step failed; the reason is read from the step's own traceback.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from components.images import TELEMETRY_OFF
from pipelines.progress import StepFailedError, find_failure, last_step_output, progress_lines
from redrec.config import InputError

# What a run publishes: name in the run folder -> file in the folder of the step that wrote it.
PUBLISHED = {
    "bundle": "build-bundle/release/bundle",
    "metrics.json": "evaluate-model/evaluation/metrics.json",
    "users.parquet": "evaluate-model/evaluation/users.parquet",
    "examples.json": "evaluate-model/evaluation/examples.json",
    "data_quality.json": "prepare-data/data/data_quality.json",
    "quarantine.parquet": "prepare-data/data/quarantine.parquet",
    "features": "build-bundle/release/features",
    "drift": "report-drift/drift",
}
LOG = "log.txt"
ANSI = re.compile(r"\x1b\[[0-9;]*m")  # terminal colours
TAIL_LINES = 20


class RunError(RuntimeError):
    """A step failed for a reason that is not the caller's input."""


def run_training(
    events: Path, items: Path, out: Path, recipe: str = "", progress: Callable[[str], None] = lambda line: None
) -> Path:
    """Run the pipeline and publish its results into `out`; return `out`.

    Args:
        events: Event log.
        items: Item table.
        out: Run folder; created, or replaced as a whole if it is an earlier run.
        recipe: Fields of the recipe as JSON; empty for the defaults.
        progress: Called with each line a person should see while waiting.

    Raises:
        InputError: The input or `out` is unusable; nothing but the log was written.
        RunError: A step failed; the message ends with the tail of the log and its path.
    """
    check_run_folder(out)
    arguments = {"events": str(events.resolve()), "items": str(items.resolve()), "recipe": recipe}
    out.parent.mkdir(parents=True, exist_ok=True)
    with working_folder(out) as work:
        log = work / LOG
        try:
            run_child(arguments, work, log, progress)
        except (StepFailedError, subprocess.CalledProcessError) as error:
            out.mkdir(exist_ok=True)
            raise reason(Path(shutil.move(log, out / LOG)), str(error)) from error
        publish(work, out)
    return out


def check_run_folder(out: Path) -> None:
    """Refuse an `out` that holds anything a run did not write: it is replaced as a whole."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file. Give a folder, new or of an earlier run.")
    foreign = sorted({p.name for p in out.iterdir()} - {*PUBLISHED, LOG}) if out.exists() else []
    if foreign:
        raise InputError(
            f"--out {out} holds {', '.join(foreign[:3])}, which no run wrote, and the folder is replaced as a whole. "
            "Give a new folder, or one of an earlier run."
        )


@contextlib.contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside `out`, on the same file system, and remove what is left of it."""
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent)).resolve()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_child(arguments: dict[str, str], work: Path, log: Path, progress: Callable[[str], None]) -> None:
    """Run this module as a process, everything it says into `log`; it ends with its first failed step.

    Raises:
        StepFailedError: A step failed.
        CalledProcessError: The process ended otherwise, for example for want of memory.
    """
    command = [sys.executable, "-m", "pipelines.local", json.dumps(arguments), str(work)]
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
            os.killpg(child.pid, signal.SIGKILL)  # the steps too: none may write into a folder that is being removed
            raise
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, command[:3])


def tee(lines: Iterable[str], write: Callable[[str], object]) -> Iterator[str]:
    """Pass the lines on without terminal colours, each written first."""
    for line in lines:
        plain = ANSI.sub("", line)
        write(plain)
        yield plain


def import_path() -> str:
    """Let the steps import the code that this process runs, installed or not."""
    root = str(Path(__file__).parents[1])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


def reason(log: Path, what: str) -> Exception:
    """Return what to raise for a failed run: the step's own `InputError`, or its last words."""
    text = log.read_text(encoding="utf-8")
    failure = find_failure(text)
    if failure is not None and failure.error == "redrec.config.InputError":
        return InputError(failure.message)
    why = f": {failure.error}: {failure.message}" if failure else ""
    tail = "\n".join(last_step_output(text)[-TAIL_LINES:])
    return RunError(f"{what}{why}\n\nThe step's last lines:\n{tail}\n\nThe whole log: {log}")


def publish(work: Path, out: Path) -> None:
    """Collect what the steps wrote and put it at `out` by one rename; an earlier run makes way for it."""
    (steps,) = (work / "steps").iterdir()
    staging, earlier = work / "run", work / "earlier"
    staging.mkdir()
    shutil.move(work / LOG, staging / LOG)
    for name, source in PUBLISHED.items():
        shutil.move(steps / source, staging / name)
    if out.exists():
        out.rename(earlier)
    staging.rename(out)


def main(arguments: dict[str, str], work: Path) -> None:
    """The child: run the pipeline function itself, each step by KFP's local runner."""
    from kfp import local

    from pipelines.training import training_pipeline

    # workspace_root stays unset: KFP removes that folder at the end, whatever it holds.
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(work / "steps"), raise_on_error=True)
    training_pipeline(**arguments)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
