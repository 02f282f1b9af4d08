"""Clients that query a server without a pause, while something happens to it."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from serving.client import query

NUM_CLIENTS, WITHIN_S = 3, 30.0


def shown(answer: dict) -> set[str]:
    return {item["item_id"] for item in answer["items"]}


class Clients:
    """They query a server for one user; every answer is kept, and every error."""

    def __init__(self, url: str, user: str, scenario: str, k: int, **options: Any) -> None:
        self.query = partial(query, url, user, scenario, k, **options)
        self.answers: list[dict] = []
        self.errors: list[Exception] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._query) for _ in range(NUM_CLIENTS)]

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _query(self) -> None:
        while not self.stopped.is_set():
            try:
                self.answers.append(self.query())
            except Exception as error:  # noqa: BLE001 (none is expected)
                self.errors.append(error)

    def seconds_until(self, is_seen: Callable[[dict], bool]) -> float:
        started, known = time.monotonic(), len(self.answers)
        while time.monotonic() < started + WITHIN_S:
            if any(map(is_seen, self.answers[known:])):
                return time.monotonic() - started
            time.sleep(0.01)
        raise AssertionError(f"not within {WITHIN_S} s")
