"""Shedding of load, in front of an app and by what waits in a retriever."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from redrec.bundle.reader import Bundle
from serving.guard import Guard
from serving.requests import Query
from serving.retriever import Retriever
from serving.room import Room
from serving.shedding import Admission, Shedding, Waiting
from tests.serving.retrieval import answers, query, stuck_tower
from tests.serving.test_guard import INFER, PREDICT, Echo, ask
from tests.serving.test_retriever import STORED, StoredHistories


def shed(num_waiting: int, path: str, method: str = "POST") -> tuple[int, dict[str, str]]:
    """Return the status and the headers of an answer where at most 2 queries may wait."""

    async def run() -> tuple[int, dict[str, str]]:
        app, waiting = Echo(), Waiting()
        shedding = Shedding(app, Admission(waiting, 2))
        held = asyncio.gather(*(ask(shedding, [b"{}"]) for _ in range(num_waiting)))
        await asyncio.sleep(0.01)
        last = asyncio.create_task(ask(shedding, [b"{}"], path, method))
        await asyncio.sleep(0.01)
        app.may_go_on.set()
        status, _, headers = await last
        await held
        assert waiting.num_queries == 0
        return status, headers

    return asyncio.run(run())


@pytest.mark.parametrize("path", [PREDICT, INFER, "/v2/models/redrec/versions/1/infer"])
def test_queries_are_refused_while_too_many_wait(path: str):
    status, headers = shed(2, path)
    assert (status, headers["retry-after"], shed(1, path)[0]) == (429, "1", 200)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/health/live"), ("GET", "/v2/models/redrec/ready"), ("GET", "/metrics"), ("POST", "/events")],
)
def test_all_else_is_answered_while_too_many_queries_wait(method: str, path: str):
    assert shed(99, path, method)[0] == 200


def test_a_request_for_many_users_shuts_nobody_out_alone():
    async def run() -> int:
        app, waiting = Echo(), Waiting()
        app.may_go_on.set()
        with waiting.here(64):
            return (await ask(Shedding(app, Admission(waiting, 32)), [b"{}"]))[0]

    assert asyncio.run(run()) == 200


def test_a_request_waits_until_it_is_answered():
    async def run() -> list[int]:
        app, waiting = Echo(), Waiting()
        shedding = Shedding(app, Admission(waiting, 2))
        held = asyncio.gather(*(ask(shedding, [b"{}"]) for _ in range(2)))
        await asyncio.sleep(0.01)
        statuses = [(await ask(shedding, [b"{}"]))[0]]
        app.may_go_on.set()
        statuses += [status for status, *_ in await held]
        return [*statuses, (await ask(shedding, [b"{}"]))[0], waiting.num_queries]

    assert asyncio.run(run()) == [429, 200, 200, 200, 0]


def test_a_client_that_sends_slowly_does_not_make_others_wait():
    async def run() -> int:
        app, waiting, is_sent = Echo(), Waiting(), asyncio.Event()
        app.may_go_on.set()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            async def receive_slowly() -> Message:
                await is_sent.wait()
                return await receive()

            await Guard(app, waiting, Room())(scope, receive_slowly, send)

        sending = asyncio.create_task(ask(Shedding(slow, Admission(waiting, 1)), [b"{}"]))
        await asyncio.sleep(0.01)
        num_waiting = waiting.num_queries
        is_sent.set()
        assert (await sending)[0] == 200
        return num_waiting

    assert asyncio.run(run()) == 0


def waiting_meanwhile(
    bundle: Bundle, call: Callable[[Retriever], Coroutine[Any, Any, Iterable[Any]]], *options: Any
) -> int:
    """Return how many of 3 queries wait 0.2 s after they were sent; none waits at the end."""
    waiting = Waiting()

    async def counted(retriever: Retriever) -> int:
        with waiting.here(3):
            sent = asyncio.ensure_future(call(retriever))
            await asyncio.sleep(0.2)
            num_waiting = waiting.num_queries
            await sent
        return num_waiting

    num_waiting: int = answers(bundle, counted, *options, waiting=waiting)
    assert waiting.num_queries == 0
    return num_waiting


async def three(retriever: Retriever, queried: Query) -> list[Any]:
    return await asyncio.gather(*(retriever.answer(queried) for _ in range(3)))


def test_queries_wait_for_the_tower(bundle: Bundle):
    async def while_stuck(retriever: Retriever) -> list[Any]:
        with stuck_tower(retriever):
            sent = asyncio.create_task(three(retriever, query()))
            await asyncio.sleep(0.4)
        return await sent

    assert waiting_meanwhile(bundle, while_stuck) == 3


def test_queries_do_not_wait_while_a_slow_store_has_them(bundle: Bundle):
    async def with_slow_store(retriever: Retriever) -> list[Any]:
        retriever.histories.source = StoredHistories(STORED, delay_s=0.3)
        return await three(retriever, Query(user_id="u", scenario="homefeed"))

    assert waiting_meanwhile(bundle, with_slow_store) == 0


def test_queries_do_not_wait_while_a_slow_index_has_them(bundle: Bundle, with_server: Callable):
    async def with_slow_client(retriever: Retriever) -> list[Any]:
        assert retriever.client is not None
        search = retriever.client.search

        async def slow(*arguments: Any) -> Any:
            await asyncio.sleep(0.5)
            return await search(*arguments)

        retriever.client.search = slow  # type: ignore[method-assign]
        return await three(retriever, query())

    assert waiting_meanwhile(bundle, with_slow_client, with_server(bundle)) == 0
