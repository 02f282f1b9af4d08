"""Outage: a service that fails is logged when it begins to fail and when it answers again, not at each request."""

import logging

logger = logging.getLogger(__name__)


class Outage:
    """Of one service; used on the event loop alone."""

    def __init__(self, name: str) -> None:
        self.name, self.num_failed = name, 0

    def failed(self, error: Exception) -> None:
        if self.num_failed == 0:
            logger.warning("%s: %s", self.name, error)
        self.num_failed += 1

    def answered(self) -> None:
        if self.num_failed:
            logger.warning("%s: it answers again; %d requests had to do without", self.name, self.num_failed)
        self.num_failed = 0
