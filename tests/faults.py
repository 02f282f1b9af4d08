"""Faults: run a function in a child process that fails, or is killed, at its n-th call of the operating system."""

import gc
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from multiprocessing import get_context
from typing import Literal

Fault = Literal["error", "kill"]
CALLS = ("open", "os.", "shutil.", "tempfile.", "fcntl.", "ctypes.dlsym")  # of Python's audit events


def is_reached(n: int, fault: Fault, function: Callable[[], object]) -> bool:
    """Run `function` in a fork; return whether it came to its n-th call and so failed there, or was killed there."""
    child = fork()
    if child == 0:
        _run_with_fault(n, fault, function)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) != 0


def fork() -> int:
    """Fork, so that the child collects nothing that was there before: what is left of gRPC may wait there for ever."""
    child = os.fork()
    if child == 0:
        gc.freeze()
    return child


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


def killed_at(name: str, function: Callable[..., object], *arguments: object) -> bool:
    """Run `function` in a process that is killed when it calls a method, given by its full name; say whether it was.

    It is no fork, since a client of gRPC may wait for ever in the fork of a process that has one.
    """
    process = get_context("spawn").Process(target=_killed_at, args=(name, function, *arguments))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _killed_at(name: str, function: Callable[..., object], *arguments: object) -> None:
    _kill_at(name, 1)
    function(*arguments)


def killed_command(name: str, n: int, *words: str) -> bool:
    """Run a command of redrec in a process that is killed at its n-th call of a function; say whether it was."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.faults", name, str(n), *words], capture_output=True, text=True
    )
    assert result.returncode in (0, -signal.SIGKILL), result.stderr
    return result.returncode == -signal.SIGKILL


def _kill_at(name: str, n: int) -> None:
    owner, _, method = name.rpartition(".")
    function, numbers = pkgutil.resolve_name(name), count(1)

    def killing(*arguments: object, **options: object) -> object:
        if next(numbers) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(pkgutil.resolve_name(owner), method, killing)


if __name__ == "__main__":
    from cli.main import main

    _kill_at(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
