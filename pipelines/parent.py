"""Parent: a process that ends with the one that started it, however that ends, and takes its own children along.

A process that is killed cannot end the steps of its pipeline. Linux can tell its child; a child that leads a session of
its own then ends all of it.
"""

import ctypes
import os
import signal
from types import FrameType

PR_SET_PDEATHSIG = 1  # of Linux's prctl


def end_with_parent(parent: int) -> None:
    """Let Linux end this session, which this process leads, when the process `parent`, which started it, ends.

    On another system nothing happens.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "prctl"):
        return
    signal.signal(signal.SIGTERM, _end_session)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it has ended before the call
        _end_session(signal.SIGTERM, None)


def _end_session(signum: int, frame: FrameType | None) -> None:
    os.killpg(0, signal.SIGKILL)
