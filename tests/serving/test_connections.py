"""Connections to uvicorn with a limit of 0.3 s; an app that answers each request."""

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from serving.connections import TimedProtocol
from tests.redis_server import free_port

LIMIT_S, TOO_LONG_S = 0.3, 5.0
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(2 * LIMIT_S if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def served(call: Any) -> Any:
    """Return what `call` returns of a connection's reader and writer, while the server runs."""

    async def session() -> Any:
        port = free_port()
        options: dict[str, Any] = {"timeout_keep_alive": LIMIT_S, "http": TimedProtocol, "lifespan": "off"}
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, **options))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await asyncio.wait_for(call(reader, writer), TOO_LONG_S)
        finally:
            writer.close()
            server.should_exit = True
            await running

    return asyncio.run(session())


@pytest.mark.parametrize("sent", [b"", b"GET", GET, GET + b"X-Half: "])
def test_a_connection_without_a_whole_request_is_closed(sent: bytes):
    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(sent)
        return await reader.read()  # until the server closes

    assert served(call) == b""


def test_a_byte_now_and_then_does_not_keep_a_connection_open():
    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GET + b"X-Slow: ")
        while not reader.at_eof():
            writer.write(b"a")
            await asyncio.sleep(LIMIT_S / 3)
        return await reader.read()

    assert served(call) == b""


def test_a_connection_that_is_idle_after_an_answer_is_closed():
    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GET + b"\r\n")
        return await reader.read()

    assert served(call).endswith(b"\r\n\r\nok")


def test_a_half_request_after_an_answer_is_closed():
    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"ok")
        writer.write(GET)
        return await reader.read()

    assert served(call) == b""


def test_an_answer_that_takes_longer_is_sent():
    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GET.replace(b"/ ", b"/slow ") + b"\r\n")
        return await reader.read()

    assert served(call).endswith(b"\r\n\r\nok")
