"""Guard: the middleware that every POST passes before KServe sees it.

It bounds what the server holds at once, refuses the formats that it does not offer (CloudEvents), and has V2 bodies
checked before they are parsed. Over a bound of the server the answer is 503 with `Retry-After`, at once; a client that
sends its body too slowly gets 408. Other requests, health checks among them, pass.
"""

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redrec.config import InputError
from serving.refusals import RefusedRequest
from serving.shedding import Waiting
from serving.v2 import check_v2

MAX_REQUESTS = 256  # that are read or answered at once
MAX_BYTES = 16 * 1024 * 1024  # of their bodies; a parsed body takes some five times as much
MAX_READ_SECONDS = 10  # for a body of the greatest size over a slow line
JSON_LENGTH = "inference-header-content-length"  # V2's binary form
CLOUD_EVENT = "application/cloudevents"


class Guard:
    """One per server; `num_requests` and `num_bytes` are those that it holds now."""

    def __init__(
        self, app: ASGIApp, waiting: Waiting, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES
    ) -> None:
        self.app, self.waiting, self.max_requests, self.max_bytes = app, waiting, max_requests, max_bytes
        self.num_requests = self.num_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        held = _Held(self)
        self.num_requests += 1
        try:
            body = await held.checked_body(scope, receive)
            await self.app(scope, _again(body, receive), send)
        except RefusedRequest as refused:
            await refused.answer()(scope, receive, send)
        finally:
            self.num_requests -= 1
            self.num_bytes -= held.num_bytes

    def check_room(self) -> None:
        if self.num_requests > self.max_requests or self.num_bytes > self.max_bytes:
            raise RefusedRequest(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The server is busy: it answers {self.max_requests} requests of {self.max_bytes:,} bytes at once. Ask "
                "again in a second, or add replicas.",
            )


class _Held:
    """One request of a guard; `num_bytes` of its body have come."""

    def __init__(self, guard: Guard) -> None:
        self.guard, self.num_bytes = guard, 0

    async def checked_body(self, scope: Scope, receive: Receive) -> bytes:
        headers = Headers(scope=scope)
        self.guard.check_room()
        if headers.get("content-type", "").startswith(CLOUD_EVENT) or any(name.startswith("ce-") for name in headers):
            raise RefusedRequest(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "CloudEvents are not offered. Send JSON of V1 or V2."
            )
        try:
            with self.guard.waiting.elsewhere():
                async with asyncio.timeout(MAX_READ_SECONDS):
                    body = await self._read(receive)
        except TimeoutError as error:
            reason = f"The body did not come within {MAX_READ_SECONDS} s."
            raise RefusedRequest(HTTPStatus.REQUEST_TIMEOUT, reason) from error
        if scope["path"].endswith("/infer"):
            try:
                check_v2(body, headers.get(JSON_LENGTH))
            except InputError as error:
                raise RefusedRequest(HTTPStatus.BAD_REQUEST, str(error)) from error
        return body

    async def _read(self, receive: Receive) -> bytes:
        """Return the body; Starlette's own middleware ends one that is too long."""
        chunks, is_more = [], True
        while is_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedRequest(HTTPStatus.BAD_REQUEST, "The connection ended inside the body.")
            chunk = message.get("body", b"")
            self.num_bytes += len(chunk)
            self.guard.num_bytes += len(chunk)
            self.guard.check_room()
            chunks.append(chunk)
            is_more = message.get("more_body", False)
        return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what receives the body once more, then what comes after it."""
    waiting = [body]

    async def receive_again() -> Message:
        return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else await receive()

    return receive_again
