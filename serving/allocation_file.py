"""Allocation file: the allocation of the arms as its file says now; a change is taken within two seconds.

A file is taken once it reads the same twice in a row, so one that is half written never counts. One that cannot be
read, or may not follow what is served, changes nothing: it is logged and counted once.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from prometheus_client import Counter

from redrec.config import InputError, parsed_mapping, validated
from redrec.experiments.allocation import Allocation, checked_change, difference

logger = logging.getLogger(__name__)

CHANGES = Counter("redrec_allocation_changes", "Changes of the allocation file by outcome", ["outcome"])
APPLIED, REFUSED = "applied", "refused"
POLL_S = 0.5


class AllocationFile:
    """`allocation` is the newest that `check` and the rules of a running experiment allow."""

    def __init__(self, path: Path, check: Callable[[Allocation], None]) -> None:
        self.path, self.check = path, check
        self.seen = self.pending = path.read_bytes() if path.is_file() else b""
        self.allocation = self._checked(self.seen)

    def _checked(self, content: bytes) -> Allocation:
        allocation = validated(Allocation, parsed_mapping(content, self.path), str(self.path))
        self.check(allocation)
        return allocation

    async def follow(self) -> None:
        """Look at the file until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(self._look_at_file)  # reading many decisions takes milliseconds

    def _look_at_file(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError:
            content = b""  # it is refused, as an empty file is
        self.look(content)

    def look(self, content: bytes) -> None:
        """Take the content of the file if it is new and has been seen twice."""
        is_settled, self.pending = content == self.pending, content
        if not is_settled or content == self.seen:
            return
        self.seen = content
        try:
            self._change(checked_change(self.allocation, self._checked(content)))
        except InputError as error:
            CHANGES.labels(REFUSED).inc()
            logger.warning("allocation: refused, the one before stays: %s", error)

    def _change(self, allocation: Allocation) -> None:
        changes = difference(self.allocation, allocation)
        self.allocation = allocation
        CHANGES.labels(APPLIED).inc()
        logger.info("allocation: %s", "; ".join(changes) or "nothing changes")
