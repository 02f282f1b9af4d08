"""Progress and failure of a local run, read from the output of KFP's local runner.

KFP prints each step's output indented by four spaces between its own records, and within it a dump of the step's
inputs. Only the step's log records count as progress; the log has everything. The text has no terminal colours.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

STEP = re.compile(r"^[\d:.]+ - INFO - Executing task '(?P<step>[^']+)'")
STEP_END = re.compile(r"^[\d:.]+ - (?:INFO|ERROR) - Task '(?P<step>[^']+)' finished with status (?P<status>\w+)")
RECORD = re.compile(r"^    \[KFP Executor [^\]]* (?P<level>[A-Z]+)\]: (?P<message>.*)")
RUNNER_RECORDS = (
    "Looking for component ",
    "Loading KFP component ",
    "Got executor_input:",
    "Wrote executor output file ",
)
TRACEBACK = "    Traceback (most recent call last):"
ERROR = re.compile(r"^    (?P<error>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")


class RunError(RuntimeError):
    """A step failed, and not because of bad input."""


class StepFailedError(RuntimeError):
    """A step failed; KFP itself would still run the steps that do not need it."""


class Failure(NamedTuple):
    error: str  # full name of the exception's class
    message: str


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
    r"""Return the exception of the last step, or None if it raised none.

    >>> find_failure('''    Traceback (most recent call last):
    ...       File "x.py", line 1, in f
    ...     redrec.config.InputError: events.csv is empty.
    ...     Give a file with rows.
    ... ''')
    Failure(error='redrec.config.InputError', message='events.csv is empty.\nGive a file with rows.')
    >>> find_failure("    killed") is None
    True
    """
    lines = last_step_output(log)
    if TRACEBACK not in lines:
        return None
    last = len(lines) - lines[::-1].index(TRACEBACK)
    for number, line in enumerate(lines[last:], start=last):
        error = ERROR.match(line)
        if error is not None:
            rest = [line[4:] for line in lines[number + 1 :]]
            return Failure(error["error"], "\n".join([error["message"] or "", *rest]))
    return None
