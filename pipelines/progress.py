"""Progress and failure of a local run, read from the output of KFP's local runner.

KFP prints each step's output indented by four spaces between its own records, and within it a dump of the step's
inputs. Only the step's log records count as progress; the log has everything. The text has no terminal colours.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from components.start import FAILED

STEP = re.compile(r"^[\d:.]+ - INFO - Executing task '(?P<step>[^']+)'")
STEP_END = re.compile(r"^[\d:.]+ - (?:INFO|ERROR) - Task '(?P<step>[^']+)' finished with status (?P<status>\w+)")
RECORD = re.compile(r"^    \[KFP Executor [^\]]* (?P<level>[A-Z]+)\]: (?P<message>.*)")
RUNNER_RECORDS = (
    "Looking for component ",
    "Loading KFP component ",
    "Got executor_input:",
    "Wrote executor output file ",
)


class RunError(RuntimeError):
    """A step failed, and not because of bad input."""


class StepFailedError(RuntimeError):
    """A step failed; KFP itself would still run the steps that do not need it."""


class Failure(NamedTuple):
    error: str  # name of the exception's class
    message: str
    is_input_error: bool


def progress_lines(lines: Iterable[str], now: Callable[[], float]) -> Iterator[str]:
    r"""Yield one line per step, per log record of a step, and per end of a step; `now` returns seconds.

    Raises:
        StepFailedError: A step failed; its output has been read completely.

    >>> kfp = ["21:39:26.139 - INFO - Executing task 'train-towers'",
    ...        "    [KFP Executor 2026-11-22 21:39:26,226 INFO]: Got executor_input:", '    {"a": 1}',
    ...        "    [KFP Executor 2026-11-22 21:39:26,226 INFO]: step 1 | loss 2",
    ...        "21:39:28.249 - INFO - Task 'train-towers' finished with status SUCCESS"]
    >>> for line in progress_lines(kfp, iter([0.0, 2.0]).__next__):
    ...     print(line)
    train-towers
      step 1 | loss 2
      done in 2 s
    """
    started = 0.0
    for line in lines:
        text = line.rstrip("\n")
        if step := STEP.match(text):
            started = now()
            yield step["step"]
        elif end := STEP_END.match(text):
            is_done = end["status"] == "SUCCESS"
            yield f"  {'done in' if is_done else 'failed after'} {now() - started:.0f} s"
            if not is_done:
                raise StepFailedError(f"step {end['step']} failed")
        elif (record := RECORD.match(text)) and not record["message"].startswith(RUNNER_RECORDS):
            yield f"  {record['message']}"


def last_step_output(log: str) -> list[str]:
    """Return the lines that the last step printed, without those of KFP."""
    log = log.rsplit("Executing task", maxsplit=1)[-1]
    return [line for line in log.splitlines() if line.startswith("    ") and line.strip()]


def find_failure(log: str) -> Failure | None:
    """Return the error of the last step, as `components.start` says it; None if it was killed."""
    for line in last_step_output(log):
        _, is_failure, content = line.partition(FAILED)
        if is_failure:
            return Failure(**json.loads(content))
    return None
