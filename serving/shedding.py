"""Shedding: while too many queries wait, a new request is refused with 429 at once, before latency collapses.

What waits is a query that this process works on or has yet to work on, from its first header on. Waiting for the
feature store, for a server of the index or for a client's body does not count: it costs nothing here, and has limits of
its own. So a frozen store degrades answers, and sheds none.

A refusal comes before all else that a request passes, KServe's timing and the reading of the body too, since under a
tenfold overload nine of ten requests are refused. Health, readiness and metrics are never refused.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus

from anyio import Lock
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.refusals import RefusedRequest

PREDICT_ROUTES = (":predict", "/infer")  # of V1 and V2, whatever the model's name and version
FEW_REQUESTS = 8  # are never refused: one may be for 64 users, and shuts nobody out alone


class Waiting:
    """Counts the queries that wait for this process; used on the event loop alone."""

    def __init__(self) -> None:
        self.num_queries = 0
        self.turn = Lock()  # of the one query that runs on the event loop; a lock of anyio's costs a pass of the loop

    @contextmanager
    def here(self, num_queries: int) -> Iterator[None]:
        """Return a context in which so many more queries wait; a request is one until it is read."""
        self.num_queries += num_queries
        try:
            yield
        finally:
            self.num_queries -= num_queries

    def elsewhere(self, num_queries: int = 1) -> AbstractContextManager[None]:
        """Return a context in which so many of them wait for another process."""
        return self.here(-num_queries)


class Admission:
    """Lets requests of all protocols in, but no queries while `max_waiting` of them wait."""

    def __init__(self, waiting: Waiting, max_waiting: int) -> None:
        self.waiting, self.max_waiting, self.num_requests = waiting, max_waiting, 0

    @contextmanager
    def request(self, is_query: bool) -> Iterator[None]:
        """Return a context in which one more request waits.

        Raises:
            RefusedRequest: It is a query, and too many of them wait.
        """
        if is_query and self._is_busy():
            reason = f"The server is busy: {self.max_waiting} queries wait. Ask again in a second, or add replicas."
            raise RefusedRequest(HTTPStatus.TOO_MANY_REQUESTS, reason)
        self.num_requests += 1
        try:
            with self.waiting.here(1):
                yield
        finally:
            self.num_requests -= 1

    def _is_busy(self) -> bool:
        is_few = self.num_requests < min(FEW_REQUESTS, self.max_waiting)
        return self.waiting.num_queries >= self.max_waiting and not is_few


class Shedding:
    """The app, with its predict routes closed while too many queries wait."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self.app, self.admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            with self.admission.request(scope["path"].endswith(PREDICT_ROUTES)):
                await self.app(scope, receive, send)
        except RefusedRequest as refused:
            await refused.answer()(scope, receive, send)
