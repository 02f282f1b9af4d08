"""Connections: those that send no whole request are closed, too.

uvicorn closes a connection that is idle after an answer. One that never sends a request, or the half of its headers,
would stay open until the process runs out of files. (The guard limits the time of a body.)
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

IDLE_SECONDS = 65  # above the 60 s after which proxies close their side; else they would send into a closed one


class TimedProtocol(HttpToolsProtocol):
    """uvicorn's, with its own limit for idle connections also for the time until the headers are there."""

    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        self.wait_for_headers()

    def on_message_begin(self) -> None:
        self.wait_for_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_waiting()
        super().connection_lost(exc)

    def wait_for_headers(self) -> None:
        if self.timer is None:  # else it runs since the connection was made
            self.timer = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def stop_waiting(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
