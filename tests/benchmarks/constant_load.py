"""Constant load: requests at a fixed rate, whether earlier ones are answered or not, as users send them.

A client that waits for each answer would slow down with the server and hide an overload; how many answers a second such
clients get is the capacity. Connections are kept and used again; a request that finds none free opens one. The load
runs on a thread of its own, beside what happens to the server.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import NamedTuple

NO_ANSWER = 0  # in place of a status: the connection ended, or the patience
PATIENCE_S = 15.0
MAX_IDLE_S = 5.0  # the server closes connections that are idle for longer
MAX_BEHIND_S = 0.1  # what this process could not send in time is sent at once, unless it is more than this
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
SOURCE = re.compile(rb'"source":"(\w+)"')


class Result(NamedTuple):
    """What became of one request."""

    sent_s: float  # on the clock of `time.monotonic`
    seconds: float
    status: int
    source: str  # of the answer; empty without one

    @property
    def is_of_model(self) -> bool:
        return self.source == "model"


class ConstantLoad:
    """Requests for one instance each to a server at `port`, for the given ones in turn, again and again.

    `rate` may change, and `results` grow as the requests are answered.
    """

    def __init__(self, port: int, instances: Sequence[dict[str, object]], rate: float) -> None:
        self.port, self.rate = port, rate
        self.requests = cycle(map(request, instances))
        self.results: list[Result] = []
        self.is_over = threading.Event()
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []  # and when it became free

    async def run(self) -> None:
        """Send until it is over, then wait for what was sent."""
        due_s, sent = time.monotonic(), set[asyncio.Task[None]]()
        while not self.is_over.is_set():
            due_s = max(due_s + 1 / self.rate, time.monotonic() - MAX_BEHIND_S)
            await asyncio.sleep(due_s - time.monotonic())
            task = asyncio.create_task(self._send())
            sent.add(task)
            task.add_done_callback(sent.discard)
        await asyncio.gather(*sent)
        for _, writer, _ in self.free:
            writer.close()

    async def capacity(self, num_clients: int, seconds: float) -> float:
        """Return how many requests a second are answered to clients that wait for each answer."""
        end_s = time.monotonic() + seconds

        async def client() -> None:
            while time.monotonic() < end_s:
                await self._send()

        await asyncio.gather(*(client() for _ in range(num_clients)))
        return len(self.results) / seconds

    async def _send(self) -> None:
        sent_s = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, source = await self._answer()
        except (OSError, EOFError, TimeoutError):
            status, source = NO_ANSWER, ""
        self.results.append(Result(sent_s, time.monotonic() - sent_s, status, source))

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return the connection that became free last, None if the server may have closed it."""
        if not self.free:
            return None
        reader, writer, free_s = self.free.pop()
        if not reader.at_eof() and time.monotonic() < free_s + MAX_IDLE_S:
            return reader, writer
        writer.close()
        return self._kept()

    async def _answer(self) -> tuple[int, str]:
        """Return the status and the source of the answer."""
        reader, writer = self._kept() or await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(next(self.requests))
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            assert length is not None, head
            body = await reader.readexactly(int(length[1]))
        except BaseException:
            writer.close()
            raise
        self.free.append((reader, writer, time.monotonic()))
        source = SOURCE.search(body)
        return int(head[9:12]), source[1].decode() if source else ""


def request(instance: dict[str, object]) -> bytes:
    """Return a whole request for one instance."""
    body = json.dumps({"instances": [instance]}).encode()
    head = f"POST /v1/models/redrec:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


@contextmanager
def constant_load(port: int, instances: Sequence[dict[str, object]], rate: float) -> Iterator[ConstantLoad]:
    """Send requests meanwhile; the load has all results at the end."""
    load = ConstantLoad(port, instances, rate)
    thread = threading.Thread(target=lambda: asyncio.run(load.run()))
    thread.start()
    try:
        yield load
    finally:
        load.is_over.set()
        thread.join()
