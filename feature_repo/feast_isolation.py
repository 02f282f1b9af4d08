"""Isolation: a context that keeps Feast's side effects away from the process that uses it.

Feast changes the warning filters and warns about its own classes. For its own server it also sets environment
variables that turn on Prometheus' multi-process mode; then the /metrics page of the host process is empty.

Most of its import, 6 of 8 CPU seconds, is for what redrec does not use: torch, and run-time checks of its own types.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import prometheus_client  # noqa: F401 (before Feast, so that it stays in single-process mode)
import typeguard

PROMETHEUS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Restore the warning filters and Prometheus' variables at the end; import and first use Feast inside it."""
    before = {name: os.environ[name] for name in PROMETHEUS_VARIABLES if name in os.environ}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", 'Field name "vector_enabled"', UserWarning)
            with contextlib.nullcontext() if "feast" in sys.modules else _quick_import():
                yield
    finally:
        for name in PROMETHEUS_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)


@contextlib.contextmanager
def _quick_import() -> Iterator[None]:
    """Import without torch, unless the process has it, and without typeguard, which recompiles every function."""
    library: Any = typeguard
    modules: dict[str, Any] = sys.modules
    checked, is_torch_hidden = library.typechecked, "torch" not in modules
    if is_torch_hidden:
        modules["torch"] = None  # an import of it now fails, as in the serving image
    library.typechecked = _unchecked
    try:
        yield
    finally:
        library.typechecked = checked
        if is_torch_hidden:
            del modules["torch"]


def _unchecked(target: Any) -> Any:
    return target
