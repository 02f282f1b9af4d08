"""Batching: requests that come together share a batch, each gets its own answers, and none has another's trouble."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from redrec.bundle.reader import Bundle
from serving.batching import NUM_PASSES, NUM_SINGLE, Batching
from serving.lists import Answer
from serving.requests import Query
from serving.retriever import Retriever
from serving.shedding import Waiting
from tests.serving.retrieval import answers, query

MAX = 4
CALLER: ContextVar[str] = ContextVar("CALLER")


class Lab:
    """Answers a query with its own user, and remembers the batches; a user named `bad` has an error."""

    def __init__(self, num_waiting: int = 99) -> None:
        self.waiting, self.batches, self.callers = Waiting(), list[list[str]](), list[str | None]()
        self.waiting.num_queries = num_waiting
        self.batching = Batching(self.answer_all, self.waiting, MAX)

    async def answer_all(self, queries: Sequence[Query]) -> list[Answer]:
        users = [one.user_id for one in queries]
        self.batches.append(users)
        self.callers.append(CALLER.get(None))
        await asyncio.sleep(0.01)
        if "bad" in users:
            raise RuntimeError("of bad")
        return [Answer([], user, None) for user in users]

    async def ask(self, *users: str) -> list[str]:
        CALLER.set(users[0])
        given = await self.batching.answers([Query(user_id=user, scenario="ads") for user in users])
        return [answer.source for answer in given]

    def answers_to(self, *requests: Sequence[str]) -> list[Any]:
        """Return what requests that come in one pass of the event loop get."""

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(self.ask(*users) for users in requests), return_exceptions=True)

        return asyncio.run(all_of_them())


def test_requests_that_come_together_are_answered_together_and_each_gets_its_own():
    lab = Lab()
    assert lab.answers_to("a", "bc", "d") == [["a"], ["b", "c"], ["d"]]
    assert lab.batches == [["a", "b", "c", "d"]] and not lab.batching.running


async def batches_after(num_passes: int, lab: Lab, *users: str) -> int:
    """Return how many batches have begun so many passes of the event loop after the users' requests."""
    before = len(lab.batches)
    sent = [asyncio.ensure_future(lab.ask(user)) for user in users]
    for _ in range(num_passes):
        await asyncio.sleep(0)
    after = len(lab.batches)
    assert await asyncio.gather(*sent) == [[user] for user in users]
    return after - before


def test_a_lone_request_goes_on_at_once():
    assert asyncio.run(batches_after(1, Lab(num_waiting=1), "a")) == 1


def test_after_several_at_once_requests_wait_some_passes_until_they_come_one_by_one_again():
    lab = Lab()

    async def after_two() -> list[int]:
        await asyncio.gather(lab.ask("a"), lab.ask("b"))
        lab.waiting.num_queries = 1
        return [await batches_after(1, lab, "c") for _ in range(NUM_SINGLE + 2)]

    assert asyncio.run(after_two()) == [0] * NUM_SINGLE + [1] * 2


@pytest.mark.parametrize(("passes_between", "batches"), [(NUM_PASSES // 2, [["a", "b"]]), (NUM_PASSES, [["a"], ["b"]])])
def test_a_batch_takes_what_comes_within_some_passes_of_the_event_loop(passes_between: int, batches: list[list[str]]):
    lab = Lab()

    async def one_after_the_other() -> None:
        first = asyncio.ensure_future(lab.ask("a"))
        for _ in range(1 + passes_between):
            await asyncio.sleep(0)
        await asyncio.gather(first, lab.ask("b"))

    asyncio.run(one_after_the_other())
    assert lab.batches == batches


def test_a_full_batch_waits_for_no_more():
    users = ["a"] * MAX
    assert asyncio.run(batches_after(4, Lab(), *users)) == 1
    assert asyncio.run(batches_after(4, Lab(), *users[1:])) == 0


def test_a_batch_has_a_greatest_size_but_no_request_is_divided():
    lab = Lab()
    assert lab.answers_to("abc", "d", "e", "fghijk", "l") == [[*"abc"], ["d"], ["e"], [*"fghijk"], ["l"]]
    assert lab.batches == [[*"abcd"], ["e"], [*"fghijk"], ["l"]]


def test_no_request_fails_by_anothers_fault():
    lab = Lab()
    a, bad, c = lab.answers_to("a", ["bad"], "c")
    assert (a, c, str(bad)) == (["a"], ["c"], "of bad") and isinstance(bad, RuntimeError)
    assert sorted(lab.batches) == sorted([["a", "bad", "c"], ["a"], ["bad"], ["c"]])


def test_the_others_are_answered_though_a_client_leaves():
    lab = Lab()

    async def without_the_first() -> list[str]:
        first, second = (asyncio.ensure_future(lab.ask(user)) for user in "ab")
        await asyncio.sleep(0.005)
        first.cancel()
        return await second

    assert asyncio.run(without_the_first()) == ["b"]
    assert lab.batches == [["a", "b"]]


def test_a_batch_has_the_context_of_its_first_request():
    """So its stages are spans of that request's trace."""
    lab = Lab()
    lab.answers_to("a", "b")
    assert lab.callers == ["a"]


def test_the_spans_of_the_others_have_a_link_to_the_first_requests():
    tracer, lab = TracerProvider().get_tracer("test"), Lab()

    async def traced(*users: str) -> Any:
        with tracer.start_as_current_span(users[0]) as span:
            await asyncio.gather(*map(lab.ask, users))
        return span

    async def of_two_requests() -> list[Any]:
        return await asyncio.gather(traced("a", "b"), traced("c"))

    first, second = asyncio.run(of_two_requests())
    assert lab.batches == [["a", "b", "c"]]
    assert [link.context for link in second.links] == [first.get_span_context()] and not first.links


def runs_of_tower(bundle: Bundle, call: Callable[[Retriever], Coroutine[Any, Any, list[Answer]]]) -> Any:
    """Return the number of users in each run of the tower, and the answers, while five queries wait."""

    async def counted(retriever: Retriever) -> tuple[list[int], list[Answer]]:
        retriever.workers.cpu_ms, numbers, of_tower = 0, list[int](), retriever.interests.of_tower

        def counts(histories: Sequence[Any], *others: Any) -> Any:
            numbers.append(len(histories))
            return of_tower(histories, *others)

        retriever.interests.of_tower = counts  # type: ignore[method-assign]
        with retriever.waiting.here(5):
            return numbers, await call(retriever)

    return answers(bundle, counted)


@pytest.mark.parametrize("is_quick", [True, False])
def test_quick_queries_share_a_run_of_the_tower_and_have_the_answers_that_each_has_alone(
    bundle: Bundle, is_quick: bool
):
    queries = [
        query(scenario, k=k) for scenario, k in zip(["homefeed", "search", "ads"] * 2, range(3, 8), strict=False)
    ]

    async def at_once(retriever: Retriever) -> list[Answer]:
        retriever.workers.cpu_ms = 0 if is_quick else 1e9
        return await asyncio.gather(*map(retriever.answer, queries))

    async def one_by_one(retriever: Retriever) -> list[Answer]:
        return [await retriever.answer(one) for one in queries]

    (numbers, together), (_, alone) = runs_of_tower(bundle, at_once), runs_of_tower(bundle, one_by_one)
    assert sorted(numbers) == ([5] if is_quick else [1] * 5)
    assert [listed(answer) for answer in together] == [listed(answer) for answer in alone]
    assert all(answer.source == "model" and answer.items for answer in together)


def listed(answer: Answer) -> list[tuple[str, float]]:
    """Return the items with scores that a batch's order of additions does not change."""
    return [(item.item_id, round(item.score or 0.0, 4)) for item in answer.items]
