"""Guard: the middleware that every POST passes before KServe sees it.

It bounds what the server holds at once, refuses the formats that it does not offer (CloudEvents), and has V2 bodies
checked before they are parsed. Over a bound of the server the answer is 503 with `Retry-After`, at once; a client that
sends its body too slowly gets 408. Other requests, health checks among them, pass.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redrec.config import InputError
from serving.refusals import RefusedRequest
from serving.room import Held, Room, in_time
from serving.shedding import Waiting
from serving.v2 import check_v2

JSON_LENGTH = "inference-header-content-length"  # V2's binary form
CLOUD_EVENT = "application/cloudevents"


class Guard:
    def __init__(self, app: ASGIApp, waiting: Waiting, room: Room) -> None:
        self.app, self.waiting, self.room = app, waiting, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            with self.room.request() as held:
                body = await self._checked_body(held, scope, receive)
                await self.app(scope, _again(body, receive), send)
        except RefusedRequest as refused:
            await refused.answer()(scope, receive, send)

    async def _checked_body(self, held: Held, scope: Scope, receive: Receive) -> bytes:
        headers = Headers(scope=scope)
        if headers.get("content-type", "").startswith(CLOUD_EVENT) or any(name.startswith("ce-") for name in headers):
            raise RefusedRequest(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "CloudEvents are not offered. Send JSON of V1 or V2."
            )
        with self.waiting.elsewhere():
            async with in_time():
                body = await _read(held, receive)
        if scope["path"].endswith("/infer"):
            try:
                check_v2(body, headers.get(JSON_LENGTH))
            except InputError as error:
                raise RefusedRequest(HTTPStatus.BAD_REQUEST, str(error)) from error
        return body


async def _read(held: Held, receive: Receive) -> bytes:
    """Return the body; Starlette's own middleware ends one that is too long."""
    chunks, is_more = [], True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedRequest(HTTPStatus.BAD_REQUEST, "The connection ended inside the body.")
        chunk = message.get("body", b"")
        held.add(len(chunk))
        chunks.append(chunk)
        is_more = message.get("more_body", False)
    return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what receives the body once more, then what comes after it."""
    waiting = [body]

    async def receive_again() -> Message:
        return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else await receive()

    return receive_again
