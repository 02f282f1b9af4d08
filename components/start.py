"""The first call of every step: set its log levels and its number of threads, and say at its end what it took."""

import atexit
import json
import logging
import os
import sys
import time
from pathlib import Path
from types import TracebackType

from redrec.config import InputError
from redrec.cpus import limit_threads

PACKAGES = ("components", "jobs", "redrec", "serving", "monitoring", "feature_repo")
FAILED = "This step failed: "  # before a line with the error as JSON, for `pipelines.progress`

logger = logging.getLogger(__name__)


def start_step() -> None:
    """Limit the threads; log our packages at INFO and all others at WARNING: KFP's executor logs all at INFO.

    Call it before a library that computes is imported.
    """
    limit_threads(os.environ)
    logging.getLogger().setLevel(logging.WARNING)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    atexit.unregister(log_usage)  # of an earlier step in this process, as in a test
    atexit.register(log_usage, time.monotonic())
    sys.excepthook = log_failure


def log_usage(started_s: float) -> None:
    logger.info("took %.0f s and at most %d MiB of memory", time.monotonic() - started_s, peak_mib())


def peak_mib(status: Path = Path("/proc/self/status")) -> int:
    """Return the most memory that this process had; `getrusage` counts its parent's too, from before the program."""
    (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def log_failure(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print the traceback, and the error in one line that a program reads."""
    sys.__excepthook__(kind, error, traceback)
    content = {"error": kind.__qualname__, "message": str(error), "is_input_error": isinstance(error, InputError)}
    print(FAILED + json.dumps(content), file=sys.stderr, flush=True)
