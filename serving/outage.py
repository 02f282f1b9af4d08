"""Outage: a service that fails is logged when it begins to fail and when it answers again, not at each request.

When nothing but failures has come from it for some time, it is left alone (a circuit breaker): requests do without it
at once instead of waiting until their budget ends, and one per pause calls it again.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.stages import StageError

logger = logging.getLogger(__name__)

PATIENCE_S = 1.0  # a short stall of this process makes many requests fail at once and is no reason
PAUSE_S = 1.0  # between two requests that call it


class Outage:
    """Of one service; used on the event loop alone."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.clock = name, clock
        self.num_without, self.since_s, self.next_s = 0, 0.0, 0.0

    @contextmanager
    def call(self, errors: type[Exception], reason: str) -> Iterator[None]:
        """Call the service in the block; these errors, and a stage's end of time, are failures.

        Raises:
            StageError: With its own reason at the end of time, else with `reason`: it failed, or was not called at all.
        """
        if self._is_spared():
            raise StageError(reason)
        try:
            yield
        except StageError as stage:
            self.failed(stage)
            raise
        except errors as error:
            self.failed(error)
            raise StageError(reason) from error
        self.answered()

    def _is_spared(self) -> bool:
        now_s = self.clock()
        if not self.num_without or now_s < self.since_s + PATIENCE_S:
            return False
        if now_s < self.next_s:
            self.num_without += 1
            return True
        self.next_s = now_s + PAUSE_S
        return False

    def failed(self, error: Exception) -> None:
        if self.num_without == 0:
            self.since_s = self.clock()
            logger.warning("%s: %s", self.name, error)
        self.num_without += 1

    def answered(self) -> None:
        if self.num_without:
            logger.warning("%s: it answers again; %d requests had to do without", self.name, self.num_without)
        self.num_without = 0
