"""Contained: Feast's side effects on the process that uses it, kept away from that process.

Feast changes the warning filters, warns about its own classes, and, for its own server, turns on Prometheus'
multi-process mode by environment variables, after which the /metrics page of the host process is empty.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator

import prometheus_client  # noqa: F401 (before Feast, so that it stays in the mode of a single process)

PROMETHEUS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Restore the warning filters and Prometheus' variables; import and first use Feast inside of it."""
    before = {name: os.environ[name] for name in PROMETHEUS_VARIABLES if name in os.environ}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", 'Field name "vector_enabled"', UserWarning)
            yield
    finally:
        for name in PROMETHEUS_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)
