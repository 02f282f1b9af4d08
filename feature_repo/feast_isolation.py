"""Isolation: a context that keeps Feast's side effects away from the process that uses it.

Feast changes the warning filters and warns about its own classes. For its own server it also sets environment
variables that turn on Prometheus' multi-process mode; then the /metrics page of the host process is empty.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator

import prometheus_client  # noqa: F401 (before Feast, so that it stays in single-process mode)

PROMETHEUS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Restore the warning filters and Prometheus' variables at the end; import and first use Feast inside it."""
    before = {name: os.environ[name] for name in PROMETHEUS_VARIABLES if name in os.environ}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", 'Field name "vector_enabled"', UserWarning)
            yield
    finally:
        for name in PROMETHEUS_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)
