"""Room: what a server holds at once, the requests of HTTP and gRPC together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

from serving.refusals import RefusedRequest

MAX_REQUESTS = 256  # that are read or answered at once
MAX_BYTES = 16 * 1024 * 1024  # of their bodies; a parsed body takes some five times as much
MAX_BODY_BYTES = 2 * 1024 * 1024  # the most events of a request, of 400 bytes each
MAX_READ_SECONDS = 10  # for a body of the greatest size over a slow line


class Room:
    """One per server; `num_requests` and `num_bytes` are those that it holds now."""

    def __init__(self, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES) -> None:
        self.max_requests, self.max_bytes = max_requests, max_bytes
        self.num_requests = self.num_bytes = 0

    @contextmanager
    def request(self) -> Iterator["Held"]:
        """Return a context in which one more request is held.

        Raises:
            RefusedRequest: There is no room for it.
        """
        held = Held(self)
        self.num_requests += 1
        try:
            self.check()
            yield held
        finally:
            self.num_requests -= 1
            self.num_bytes -= held.num_bytes

    def check(self) -> None:
        if self.num_requests > self.max_requests or self.num_bytes > self.max_bytes:
            raise RefusedRequest(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The server is busy: it answers {self.max_requests} requests of {self.max_bytes:,} bytes at once. Ask "
                "again in a second, or add replicas.",
            )


class Held:
    """One request in a room; `num_bytes` of its body have come."""

    def __init__(self, room: Room) -> None:
        self.room, self.num_bytes = room, 0

    def add(self, num_bytes: int) -> None:
        """Hold more bytes of the body, if there is room for them."""
        self.num_bytes += num_bytes
        self.room.num_bytes += num_bytes
        self.room.check()


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Return a context to read a body in; it refuses a client that sends too slowly."""
    try:
        async with asyncio.timeout(MAX_READ_SECONDS):
            yield
    except TimeoutError as error:
        reason = f"The body did not come within {MAX_READ_SECONDS} s."
        raise RefusedRequest(HTTPStatus.REQUEST_TIMEOUT, reason) from error
