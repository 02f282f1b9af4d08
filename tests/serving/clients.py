"""Clients that ask a server without a pause, while something happens to it."""

import threading
import time
from collections.abc import Callable
from typing import Any

NUM_CLIENTS, WITHIN_S = 3, 30.0


def shown(answer: dict) -> set[str]:
    return {item["item_id"] for item in answer["items"]}


class Clients:
    """They ask one question again and again; every answer is kept, and every error."""

    def __init__(self, ask: Callable[[], Any], num_clients: int = NUM_CLIENTS) -> None:
        self.ask = ask
        self.answers: list[Any] = []
        self.errors: list[Exception] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(num_clients)]

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _ask(self) -> None:
        while not self.stopped.is_set():
            try:
                self.answers.append(self.ask())
            except Exception as error:  # noqa: BLE001 (none is expected)
                self.errors.append(error)

    def seconds_until(self, is_seen: Callable[[Any], bool]) -> float:
        started, known = time.monotonic(), len(self.answers)
        while time.monotonic() < started + WITHIN_S:
            if any(map(is_seen, self.answers[known:])):
                return time.monotonic() - started
            time.sleep(0.01)
        raise AssertionError(f"not within {WITHIN_S} s")
