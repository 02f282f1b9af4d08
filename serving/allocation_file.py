"""Allocation file: the allocation of the arms as its file says now; a change is taken within two seconds.

A file is taken once it reads the same twice in a row, so one that is half written never counts.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from redrec.experiments.allocation import Allocation
from serving.followed_allocation import FollowedAllocation

POLL_S = 0.5


class AllocationFile(FollowedAllocation):
    def __init__(self, path: Path, check: Callable[[Allocation], None]) -> None:
        self.path = path
        self.pending = path.read_bytes() if path.is_file() else b""
        super().__init__(str(path), self.pending, check)

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
        if is_settled:
            super().look(content)
