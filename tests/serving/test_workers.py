"""Workers: quick queries take turns on the event loop, slow ones have threads, and none waits beyond its budget."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from serving.config import ServingConfig
from serving.shedding import Waiting
from serving.stages import StageError
from serving.workers import MAX_ON_LOOP, MEDOIDS, TOWER, Workers
from tests.bundles import tiny_run
from tests.serving.retrieval import PATIENT, answers, query

QUICK, SLOW = {"event_loop_ms": 1000.0}, {"event_loop_ms": 0.0}


def with_workers(run: Callable[[Workers], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    """Run it with workers that are warm."""

    async def session() -> Any:
        workers = Workers(PATIENT.model_copy(update=settings), Waiting().turn)
        try:
            await workers.warm_up(time.monotonic)
            return await run(workers)
        finally:
            workers.close()

    return asyncio.run(session())


async def thread_of(workers: Workers, stage: str) -> str:
    return str(await workers.run(stage, 1, lambda: threading.current_thread().name))


@pytest.mark.parametrize(("settings", "stage", "thread"), [
    (QUICK, TOWER, "MainThread"), (SLOW, TOWER, "tower_0"), (QUICK, MEDOIDS, "medoids_0"), (SLOW, MEDOIDS, "medoids_0"),
])  # fmt: skip
def test_a_query_runs_on_the_event_loop_if_it_is_quick(settings: dict[str, float], stage: str, thread: str):
    assert with_workers(lambda workers: thread_of(workers, stage), **settings) == thread


def test_a_warm_up_tells_quick_queries_by_their_cpu_time(caplog: pytest.LogCaptureFixture):
    """Ten milliseconds of sleep cost no CPU; two million additions cost more than five milliseconds."""
    caplog.set_level(logging.DEBUG, "serving")
    works: list[Callable[[], Any]] = [lambda: time.sleep(0.01), lambda: sum(range(2_000_000))]

    async def both(workers: Workers) -> list[bool]:
        quick = []
        for work in works:
            await workers.warm_up(work)
            quick.append(workers.is_quick(1))
        return quick

    assert with_workers(both, event_loop_ms=5.0) == [True, False]
    assert "it runs on the event loop" in caplog.text and "it has a thread" in caplog.text


def test_many_queries_at_once_have_a_thread_though_each_is_quick():
    async def threads_of(workers: Workers) -> list[str]:
        numbers = MAX_ON_LOOP, MAX_ON_LOOP + 1
        return [await workers.run(TOWER, number, lambda: threading.current_thread().name) for number in numbers]

    assert with_workers(threads_of, **QUICK) == ["MainThread", "tower_0"]


def test_a_warm_up_returns_its_last_result_and_leaves_the_event_loop_free():
    async def beside_a_counter(workers: Workers) -> tuple[Any, int]:
        passes = 0

        async def count() -> None:
            nonlocal passes
            while True:
                passes += 1
                await asyncio.sleep(0.001)

        counter = asyncio.create_task(count())
        results = iter(range(1000))
        last = await workers.warm_up(lambda: (time.sleep(0.005), next(results))[1])
        counter.cancel()
        return last, passes

    last, passes = with_workers(beside_a_counter)
    assert last == 19 and passes > 10


def test_the_event_loop_does_all_else_between_two_quick_queries():
    """Each pass of the loop runs one query and the other task once."""

    async def beside_a_task(workers: Workers) -> str:
        order: list[str] = []

        async def other() -> None:
            for _ in range(5):
                order.append("-")
                await asyncio.sleep(0)

        queries = [workers.run(TOWER, 1, order.append, "q") for _ in range(5)]
        await asyncio.gather(other(), *queries)
        return "".join(order)

    assert with_workers(beside_a_task, **QUICK) == "--q-q-q-qq"  # until the other has done


def test_two_retrievers_share_the_turns():
    async def of_two() -> str:
        turn, order = Waiting().turn, []
        both = [Workers(PATIENT.model_copy(update=QUICK), turn) for _ in range(2)]
        for workers in both:
            await workers.warm_up(time.monotonic)

        async def ticks() -> None:
            for _ in range(4):
                order.append("-")
                await asyncio.sleep(0)

        queries = [workers.run(TOWER, 1, order.append, "q") for workers in both * 2]
        await asyncio.gather(ticks(), *queries)
        for workers in both:
            workers.close()
        return "".join(order)

    assert asyncio.run(of_two()).startswith("--q-q-q")


def test_who_gets_no_turn_within_the_budget_has_a_timeout_and_the_others_go_on():
    async def behind_a_holder(workers: Workers) -> tuple[list[Any], str]:
        async def hold() -> None:
            async with workers.turn:
                await asyncio.sleep(0.3)

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiting = [workers.run(TOWER, 1, lambda: "answer") for _ in range(2)]
        given = await asyncio.gather(*waiting, return_exceptions=True)
        await holder
        return given, await workers.run(TOWER, 1, lambda: "after")

    given, after = with_workers(behind_a_holder, tower_budget_ms=50, **QUICK)
    assert [str(error) for error in given] == ["tower_timeout"] * 2 and after == "after"
    assert all(isinstance(error, StageError) for error in given)


def test_a_query_that_takes_too_long_on_the_event_loop_is_answered_and_the_next_has_a_thread(
    caplog: pytest.LogCaptureFixture,
):
    async def slow_once(workers: Workers) -> tuple[Any, str]:
        return await workers.run(TOWER, 1, lambda: (time.sleep(0.1), "late")[1]), await thread_of(workers, TOWER)

    assert with_workers(slow_once, tower_budget_ms=50, **QUICK) == ("late", "tower_0")
    assert "longer than 0.05 s on the event loop" in caplog.text


def test_an_error_is_the_querys_and_gives_the_turn_to_the_next():
    async def both(workers: Workers) -> tuple[Any, Any]:
        failed, given = await asyncio.gather(
            workers.run(TOWER, 1, lambda: 1 / 0), workers.run(TOWER, 1, lambda: 1), return_exceptions=True
        )
        return failed, given

    failed, given = with_workers(both, **QUICK)
    assert isinstance(failed, ZeroDivisionError) and given == 1


def test_answers_are_the_same_on_the_event_loop_and_on_threads(tmp_path: Path):
    bundle = tiny_run(tmp_path, num_contenders=12)

    async def answered(retriever: Any) -> tuple[bool, list[Any]]:
        queries = [query(scenario, k=k) for scenario in bundle.manifest.scenarios for k in (1, 5, 48)]
        return retriever.workers.is_quick(1), [await retriever.answer(one) for one in queries]

    ways: list[ServingConfig] = [PATIENT.model_copy(update=settings) for settings in (QUICK, SLOW)]
    (is_quick, on_loop), (is_still_quick, on_threads) = [answers(bundle, answered, config) for config in ways]
    assert is_quick and not is_still_quick
    assert on_loop == on_threads and all(answer.source == "model" for answer in on_loop)
