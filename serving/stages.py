"""Stages: the steps of an answer, each with a time budget."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

ResultT = TypeVar("ResultT")


class StageError(RuntimeError):
    """A stage failed; `args[0]` is the reason in the answer."""


async def within(work: Awaitable[ResultT], budget_ms: int, reason: str) -> ResultT:
    """Return the result of `work`, or raise StageError with `reason` if it takes longer than its budget."""
    try:
        async with asyncio.timeout(budget_ms / 1000):
            return await work
    except TimeoutError as error:
        raise StageError(reason) from error


async def together(work: Sequence[Awaitable[ResultT]]) -> list[ResultT]:
    """Return all results; a single one needs no task of its own."""
    return [await work[0]] if len(work) == 1 else await asyncio.gather(*work)
