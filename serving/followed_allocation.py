"""Followed allocation: the newest allocation of the arms that may be served, whatever it is read from.

Content that is no allocation, or may not follow what is served, changes nothing: it is logged and counted once.
"""

import logging
from collections.abc import Callable

from prometheus_client import Counter

from redrec.config import InputError, parsed_mapping, validated
from redrec.experiments.allocation import Allocation, checked_change, difference

logger = logging.getLogger(__name__)

CHANGES = Counter("redrec_allocation_changes", "Changes of the allocation by outcome", ["outcome"])
APPLIED, REFUSED = "applied", "refused"


class FollowedAllocation:
    """`allocation` is the newest that `check` and the rules of a running experiment allow; `source` names it."""

    def __init__(self, source: str, content: bytes, check: Callable[[Allocation], None]) -> None:
        self.source, self.check, self.seen = source, check, content
        self.allocation = self._checked(content)

    def look(self, content: bytes) -> None:
        """Take the content if it is new."""
        if content == self.seen:
            return
        self.seen = content
        try:
            self._change(checked_change(self.allocation, self._checked(content)))
        except InputError as error:
            CHANGES.labels(REFUSED).inc()
            logger.warning("allocation: refused, the one before stays: %s", error)

    def _checked(self, content: bytes) -> Allocation:
        allocation = validated(Allocation, parsed_mapping(content, self.source), self.source)
        self.check(allocation)
        return allocation

    def _change(self, allocation: Allocation) -> None:
        changes = difference(self.allocation, allocation)
        self.allocation = allocation
        CHANGES.labels(APPLIED).inc()
        logger.info("allocation: %s", "; ".join(changes) or "nothing changes")
