"""The guard alone, driven as a server drives it; test_app.py has it in front of KServe."""

import asyncio
import json
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive, Scope, Send

from serving import room
from serving.guard import Guard
from serving.room import Room
from serving.shedding import Waiting

PREDICT, INFER = "/v1/models/redrec:predict", "/v2/models/redrec/infer"


class Echo:
    """An app that answers with the body once it may go on."""

    def __init__(self) -> None:
        self.may_go_on, self.bodies = asyncio.Event(), list[bytes]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive()).get("body", b""))
        await self.may_go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def ask(
    guarded: Guard, chunks: Iterable[bytes], path: str = PREDICT, method: str = "POST", **headers: str
) -> tuple[int, dict, dict[str, str]]:
    """Return the status, the body and the headers of the answer."""
    sent: list[Message] = []
    waiting = list(chunks)

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await guarded({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], json.loads(sent[1]["body"]), answered


@pytest.mark.parametrize("chunks", [[b"abc"], [b"a", b"bc"], [b""]])
def test_a_body_reaches_the_app_as_it_was_sent(chunks: list[bytes]):
    async def run() -> tuple[int, list[bytes], Guard]:
        app = Echo()
        app.may_go_on.set()
        guarded = Guard(app, Waiting(), Room())
        return (await ask(guarded, chunks))[0], app.bodies, guarded

    status, bodies, guarded = asyncio.run(run())
    assert (status, bodies) == (200, [b"".join(chunks)])
    assert (guarded.room.num_requests, guarded.room.num_bytes) == (0, 0)


@pytest.mark.parametrize("headers", [{"ce_id": "1"}, {"content_type": "application/cloudevents+json"}])
def test_cloud_events_are_not_offered(headers: dict[str, str]):
    status, body, _ = asyncio.run(ask(Guard(Echo(), Waiting(), Room()), [b"{}"], **headers))
    assert status == 415 and "CloudEvents are not offered" in body["error"]


def test_a_malformed_v2_body_does_not_reach_the_app():
    async def run() -> tuple[int, list[bytes]]:
        app = Echo()
        return (await ask(Guard(app, Waiting(), Room()), [b"{}"], INFER))[0], app.bodies

    assert asyncio.run(run()) == (400, [])


def test_more_requests_or_bytes_than_the_server_holds_get_503_and_later_ones_an_answer():
    async def run() -> list[tuple[int, dict, dict[str, str]]]:
        app = Echo()
        guarded = Guard(app, Waiting(), Room(max_requests=3, max_bytes=10))
        held = asyncio.gather(*(ask(guarded, [b"abcd"]) for _ in range(2)))
        await asyncio.sleep(0.01)
        answers = [await ask(guarded, [b"a", b"bc"])]
        third = asyncio.create_task(ask(guarded, [b""]))
        await asyncio.sleep(0.01)
        answers += [await ask(guarded, [b""])]
        app.may_go_on.set()
        answers += [*await held, await third, await ask(guarded, [b"abcdefghij"])]
        assert (guarded.room.num_requests, guarded.room.num_bytes) == (0, 0)
        return answers

    answers = asyncio.run(run())
    assert [status for status, *_ in answers] == [503, 503, 200, 200, 200, 200]
    assert answers[0][2]["retry-after"] == "1" and "Ask again in a second" in answers[0][1]["error"]


def test_other_requests_pass_while_the_server_is_busy():
    async def run() -> int:
        app = Echo()
        app.may_go_on.set()
        return (await ask(Guard(app, Waiting(), Room(max_requests=0)), [b""], "/v2/health/live", method="GET"))[0]

    assert asyncio.run(run()) == 200


def test_a_client_that_sends_too_slowly_is_told_and_holds_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "MAX_READ_SECONDS", 0.05)

    async def run() -> tuple[int, Guard]:
        guarded = Guard(Echo(), Waiting(), Room())

        async def never() -> Message:
            await asyncio.sleep(60)
            raise AssertionError

        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await guarded({"type": "http", "method": "POST", "path": PREDICT, "headers": []}, never, send)
        return sent[0]["status"], guarded

    status, guarded = asyncio.run(run())
    assert status == 408 and (guarded.room.num_requests, guarded.room.num_bytes) == (0, 0)
