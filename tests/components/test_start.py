"""The log levels of a step, and what it says at its end."""

import logging
import re
import subprocess
import sys

import pytest

from components.start import PACKAGES, start_step


@pytest.fixture(autouse=True)
def levels_restored():
    loggers = [logging.getLogger(name) for name in (None, *PACKAGES)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_our_packages_log_at_info_and_libraries_at_warning():
    start_step()
    assert logging.getLogger("redrec.training").isEnabledFor(logging.INFO)
    assert not logging.getLogger("a_library").isEnabledFor(logging.INFO)
    assert logging.getLogger("a_library").isEnabledFor(logging.WARNING)


def test_a_step_says_at_its_end_what_it_took_and_why_it_failed():
    """Its own memory: this process had 200 MiB before it started the step."""
    ballast = bytearray(200 * 2**20)
    lines = ["import logging; logging.basicConfig()", "from components.start import start_step", "start_step()"]
    lines += ["memory = bytearray(60 * 2**20)", "raise ValueError('no')"]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert (ended.returncode, len(ballast)) == (1, 200 * 2**20)
    (mib,) = re.findall(r"took \d+ s and at most (\d+) MiB of memory", ended.stderr)
    assert 60 < int(mib) < 190
    assert 'This step failed: {"error": "ValueError", "message": "no", "is_input_error": false}' in ended.stderr
