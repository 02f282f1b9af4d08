"""Batching: requests that come together are answered together, by one read, one run of the tower and one search.

A request that finds others waiting joins those that the same pass of the event loop reads, and a lone one goes on at
once. So no request waits for a batch to fill: while one batch is answered, the requests of the next one come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from serving.lists import Answer
from serving.requests import Query
from serving.shedding import Waiting


class Request(NamedTuple):
    """The queries of one request, and where it waits for their answers."""

    queries: Sequence[Query]
    answers: "asyncio.Future[list[Answer]]"


class Batching:
    """Of one retriever; used on the event loop alone. `answer_all` answers the queries of a batch."""

    def __init__(
        self, answer_all: Callable[[Sequence[Query]], Awaitable[list[Answer]]], waiting: Waiting, max_queries: int
    ) -> None:
        self.answer_all, self.waiting, self.max_queries = answer_all, waiting, max_queries
        self.requests: list[Request] = []  # that this pass of the event loop has read
        self.running: set[asyncio.Task[None]] = set()

    async def answers(self, queries: Sequence[Query]) -> list[Answer]:
        """Return the answers to the queries of one request, or raise what `answer_all` raises for them."""
        if self.waiting.num_queries <= len(queries):
            return await self.answer_all(queries)
        loop = asyncio.get_running_loop()
        request = Request(queries, loop.create_future())
        if not self.requests:
            loop.call_soon(self._start)
        self.requests.append(request)
        return await request.answers

    def _start(self) -> None:
        requests, self.requests = self.requests, []
        for batch in batches(requests, self.max_queries):
            task = asyncio.create_task(self._answer(batch))
            self.running.add(task)
            task.add_done_callback(self.running.discard)

    async def _answer(self, batch: Sequence[Request]) -> None:
        """Answer all requests at once; if that fails, each by itself, so that none fails by another's fault."""
        try:
            answers = iter(await self.answer_all([*chain.from_iterable(request.queries for request in batch)]))
        except Exception as error:  # noqa: BLE001 (it is the request's, whatever it is)
            if len(batch) == 1:
                _give(batch[0], error)
            else:
                await asyncio.gather(*(self._answer([request]) for request in batch))
            return
        for request in batch:
            _give(request, [next(answers) for _ in request.queries])


def _give(request: Request, given: list[Answer] | Exception) -> None:
    if request.answers.done():
        return  # its client has gone
    if isinstance(given, Exception):
        request.answers.set_exception(given)
    else:
        request.answers.set_result(given)


def batches(requests: Sequence[Request], max_queries: int) -> Iterator[list[Request]]:
    """Return the requests in their order, together as long as they have at most so many queries."""
    batch: list[Request] = []
    for request in requests:
        if batch and sum(len(one.queries) for one in [*batch, request]) > max_queries:
            yield batch
            batch = []
        batch.append(request)
    yield batch
