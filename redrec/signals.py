"""Signals: on SIGTERM a process leaves by an exception, so that it can end what it has started."""

import signal
import sys
from types import FrameType


def leave_on_sigterm() -> None:
    """Exit with the status that a shell gives an ended process; process 1 of a container has no default handler."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)
