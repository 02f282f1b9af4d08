"""KFP's log: the reason of a failure, and only progress lines for the user."""

import pytest

from components.start import log_failure
from pipelines.progress import Failure, StepFailedError, find_failure, progress_lines
from redrec.config import InputError

LOG = """\
21:39:27.049 - INFO - Executing task 'prepare-data'
21:39:27.049 - INFO - Streamed logs:

    [KFP Executor 2026-11-22 21:39:27,105 INFO]: Got executor_input:
    {
        "inputs": {}
    }
    a library's print
    [KFP Executor 2026-11-22 21:39:27,105 INFO]: 7 events read
    Traceback (most recent call last):
      File "a.py", line 24, in one
    KeyError: 'ts'

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      File "b.py", line 9, in two
    redrec.config.InputError: events has no column 'scenario'.
    Add it.
    {failed}
21:39:27.235 - ERROR - Task 'prepare-data' finished with status FAILURE
Traceback (most recent call last):
  File "pipeline_orchestrator.py", line 184, in log_and_maybe_raise_for_failure
RuntimeError: Pipeline finished with status FAILURE.
"""


ERRORS = {InputError("events has no column 'scenario'.\nAdd it."): True, KeyError("ts"): False}


@pytest.mark.parametrize("error", ERRORS)
def test_the_error_that_ended_the_step_is_the_reason(error: Exception, capsys: pytest.CaptureFixture[str]):
    log_failure(type(error), error, None)
    log = LOG.replace("{failed}", capsys.readouterr().err.splitlines()[-1])
    assert find_failure(log) == Failure(type(error).__name__, str(error), is_input_error=ERRORS[error])


def test_a_step_that_was_killed_has_no_reason():
    assert find_failure(LOG) is None


def test_only_steps_and_their_records_are_progress():
    seconds = iter([10.0, 14.0])
    lines = progress_lines(LOG.splitlines(), lambda: next(seconds))
    assert [next(lines) for _ in range(3)] == ["prepare-data", "  7 events read", "  failed after 4 s"]


def test_the_first_failed_step_ends_the_run():
    """KFP's local runner itself would run the steps that do not need it, for minutes."""
    with pytest.raises(StepFailedError, match="prepare-data"):
        list(progress_lines([*LOG.splitlines(), "21:39:28.1 - INFO - Executing task 'x'"], lambda: 0.0))
