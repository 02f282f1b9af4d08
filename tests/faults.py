"""Faults: run a function in a child process that fails, or is killed, at its n-th call of the operating system."""

import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from typing import Literal

Fault = Literal["error", "kill"]
CALLS = ("open", "os.", "shutil.", "tempfile.", "fcntl.", "ctypes.dlsym")  # of Python's audit events


def is_reached(n: int, fault: Fault, function: Callable[[], object]) -> bool:
    """Run `function` in a fork; return whether it came to its n-th call and so failed there, or was killed there."""
    child = os.fork()
    if child == 0:
        _run_with_fault(n, fault, function)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) != 0


def _run_with_fault(n: int, fault: Fault, function: Callable[[], object]) -> None:
    num_calls = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal num_calls
        if not event.startswith(CALLS):
            return
        num_calls += 1
        if num_calls == n + 1 and fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if num_calls == n + 1:
            raise OSError(f"planted at {event}")

    sys.addaudithook(hook)
    status = 1
    try:
        function()
        status = 0 if num_calls <= n else 1  # an error that the function overcame was reached, too
    finally:
        os._exit(status)


def killed_at(name: str, function: Callable[[], object]) -> bool:
    """Run `function` in a fork that is killed when it calls a method, given by its full name; say whether it was."""
    child = os.fork()
    if child == 0:
        owner, _, method = name.rpartition(".")
        setattr(pkgutil.resolve_name(owner), method, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        try:
            function()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
