"""Allocation map: the allocation of the arms as a ConfigMap says now; a change is taken within two seconds.

While the API is away, or the ConfigMap is, the allocation stays as it is.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from serving.allocation_file import AllocationFile
from serving.config_map import ConfigMap, MapName
from serving.followed_allocation import FollowedAllocation

logger = logging.getLogger(__name__)

POLL_S = 1.0


class AllocationMap(FollowedAllocation):
    def __init__(self, name: MapName, check: Callable[[Allocation], None]) -> None:
        self.map, self.is_away = ConfigMap(name), False
        super().__init__(str(name), self.map.read().content, check)

    async def follow(self) -> None:
        """Look at the ConfigMap until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(self._look_at_map)

    def _look_at_map(self) -> None:
        try:
            content = self.map.read().content
        except InputError as error:
            if not self.is_away:
                logger.warning("allocation: it stays as it is, since %s cannot be read: %s", self.source, error)
            self.is_away = True
            return
        if self.is_away:
            logger.info("allocation: %s is read again", self.source)
        self.is_away = False
        self.look(content)


def followed(named: Path | MapName, check: Callable[[Allocation], None]) -> AllocationFile | AllocationMap:
    return AllocationMap(named, check) if isinstance(named, MapName) else AllocationFile(named, check)
