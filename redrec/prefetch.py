"""Prefetch: a thread makes the next value of a sequence while one is worked on."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")


def prefetch(values: Iterable[Value]) -> Iterator[Value]:
    """Yield the values in their order; the next one is made while one is used, and its error is raised in its turn.

    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    end = object()
    making = iter(values)
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, making, end)
        value = coming.result()
        while value is not end:
            coming = thread.submit(next, making, end)
            yield value  # type: ignore[misc] # it is not `end`
            value = coming.result()
