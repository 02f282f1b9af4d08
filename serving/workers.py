"""Workers: where the steps of a query run, each within its budget.

A thread costs a query more than its own work where the catalog is small: thread and event loop want Python's lock from
two cores. So quick queries run on the event loop, a few in each of its passes (`serving.batching`); in between it
answers health checks, refuses, and reads what comes. Slower ones have threads, which share the cores. A warm-up tells
which they are.
Should one take longer than its budget on the event loop, as in a hanging tower, threads have those that follow.
"""

import asyncio
import logging
import math
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anyio import Lock

from serving.config import ServingConfig
from serving.stages import StageError, within
from serving.tracing import in_context

logger = logging.getLogger(__name__)

TOWER, MEDOIDS = "tower", "medoids"  # stages that make interests of a history
TOWER_TIMEOUT = "tower_timeout"

MAX_ON_LOOP = 8  # queries at once; twice as many save another tenth of their CPU, and all else waits twice as long
WARM_UP_RUNS = 20  # enough to pay the first-call costs of ONNX Runtime and the client


class Workers:
    """Of one retriever; `turn` is held by the query that runs on the event loop, of whatever retriever."""

    def __init__(self, config: ServingConfig, turn: Lock) -> None:
        self.config, self.turn = config, turn
        self.cpu_ms = math.inf  # of a query, by the warm-up
        self.budget_s = config.tower_budget_ms / 1000
        self.tower_threads = ThreadPoolExecutor(config.tower_threads, thread_name_prefix="tower")
        self.medoid_thread = ThreadPoolExecutor(1, thread_name_prefix="medoids")

    async def warm_up(self, query: Callable[[], Any]) -> Any:
        """Run it several times beside the event loop, where another bundle may be answering; return its last result."""
        self.cpu_ms, result = await in_context(self.tower_threads, _measured, query)
        way = "it runs on the event loop" if self.is_quick(1) else "it has a thread"
        logger.debug("A query takes %.1f ms of CPU from the tower on: %s", self.cpu_ms, way)
        return result

    def is_quick(self, num_queries: int) -> bool:
        """Return whether so many at once may run on the event loop, each of which is quick by itself."""
        return num_queries <= MAX_ON_LOOP and self.cpu_ms < self.config.event_loop_ms

    async def run(self, stage: str, num_queries: int, step: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a step of the stage, for so many queries at once.

        Raises:
            StageError: With `TOWER_TIMEOUT`: it has no result within its budget, or no turn.
        """
        if stage != TOWER or not self.is_quick(num_queries):
            return await self.on_thread(stage, step, *arguments)
        try:
            async with asyncio.timeout(self.budget_s), self.turn:
                return self._on_loop(step, *arguments)
        except TimeoutError as error:
            raise StageError(TOWER_TIMEOUT) from error

    async def on_thread(self, stage: str, step: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a step that may take long, whatever the warm-up found."""
        threads = self.tower_threads if stage == TOWER else self.medoid_thread
        run = in_context(threads, step, *arguments)
        return await within(run, self.config.tower_budget_ms, TOWER_TIMEOUT)

    def _on_loop(self, step: Callable[..., Any], *arguments: Any) -> Any:
        begin = time.monotonic()
        try:
            return step(*arguments)
        finally:
            if time.monotonic() - begin > self.budget_s:
                self.cpu_ms = math.inf
                logger.warning("A query took longer than %s s on the event loop; now they have threads", self.budget_s)

    def close(self) -> None:
        for threads in (self.tower_threads, self.medoid_thread):
            threads.shutdown(wait=False, cancel_futures=True)


def _measured(query: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median of the CPU milliseconds of several runs, and the result of the last."""
    cpus_ms = []
    for _ in range(WARM_UP_RUNS):
        begin = time.thread_time()
        result = query()
        cpus_ms.append(1000 * (time.thread_time() - begin))
    return statistics.median(cpus_ms), result
