"""Batching: requests that come together are answered together, by one read, one run of the tower and one search.

While one batch is answered, the requests of the next one come, and a few passes of the event loop read them, since
a call by gRPC takes several of them. So no request waits for a batch to fill: after these passes it starts. Where
requests come one by one, as from a single client, each goes on at once. The stages of a batch are spans of its first
request, to which the spans of the others have a link.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from opentelemetry.trace import Span, get_current_span

from serving.lists import Answer
from serving.requests import Query
from serving.shedding import Waiting
from serving.tracing import link_to_current

NUM_PASSES = 16  # some 0.1 ms; fewer miss calls by gRPC, twice as many add nothing by HTTP
NUM_SINGLE = 16  # batches of one request in a row, after which they come one by one


class Request(NamedTuple):
    """The queries of one request, where it waits for their answers, and its span."""

    queries: Sequence[Query]
    answers: "asyncio.Future[list[Answer]]"
    span: Span


class Batching:
    """Of one retriever; used on the event loop alone. `answer_all` answers the queries of a batch."""

    def __init__(
        self, answer_all: Callable[[Sequence[Query]], Awaitable[list[Answer]]], waiting: Waiting, max_queries: int
    ) -> None:
        self.answer_all, self.waiting, self.max_queries = answer_all, waiting, max_queries
        self.requests: list[Request] = []  # of the next batch
        self.num_single = NUM_SINGLE  # batches of one request since the last one of several
        self.running: set[asyncio.Task[None]] = set()

    async def answers(self, queries: Sequence[Query]) -> list[Answer]:
        """Return the answers to the queries of one request, or raise what `answer_all` raises for them."""
        if self.num_single >= NUM_SINGLE and self.waiting.num_queries <= len(queries):
            return await self.answer_all(queries)
        loop = asyncio.get_running_loop()
        request = Request(queries, loop.create_future(), get_current_span())
        if not self.requests:
            loop.call_soon(self._start_after, NUM_PASSES - 1)
        self.requests.append(request)
        return await request.answers

    def _start_after(self, num_passes: int) -> None:
        """Start the next batch after so many more passes of the event loop, or once it is full."""
        if num_passes and sum(len(request.queries) for request in self.requests) < self.max_queries:
            asyncio.get_running_loop().call_soon(self._start_after, num_passes - 1)
            return
        requests, self.requests = self.requests, []
        self.num_single = self.num_single + 1 if len(requests) == 1 else 0
        for batch in batches(requests, self.max_queries):
            task = asyncio.create_task(self._answer(batch))
            self.running.add(task)
            task.add_done_callback(self.running.discard)

    async def _answer(self, batch: Sequence[Request]) -> None:
        """Answer all requests at once; if that fails, each by itself, so that none fails by another's fault."""
        link_to_current(request.span for request in batch)
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
