"""Write lock: one process at a time reads histories and writes them back.

Who adds events reads a history first, and so do `materialize` into a store that has some, and `forget`: with two at
once, one would write back what the other has just changed. On SQLite the lock is one of the operating system on the
folder's configuration, and ends with its process; on Redis it is a key that expires.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.store import CONFIG, StoreUnavailableError, answering, redis_client

if TYPE_CHECKING:
    from feature_repo.online import OnlineHistories

WAIT_SECONDS = 60  # for others; a push of 10,000 events takes a few
EXPIRY_SECONDS = 120  # of Redis's key, if its owner died
POLL_SECONDS = 0.01


@contextlib.contextmanager
def writing(online: "OnlineHistories") -> Iterator[None]:
    """Wait until nobody else writes, and keep others from it.

    Raises:
        StoreUnavailableError: Another process has not ended for a minute, or Redis does not answer.
    """
    locks = {"sqlite": _file_lock, "redis": _redis_lock}
    with locks[online.store.config.online_store.type](online):
        yield


@contextlib.contextmanager
def _file_lock(online: "OnlineHistories") -> Iterator[None]:
    path = Path(online.store.repo_path) / CONFIG
    end = time.monotonic() + WAIT_SECONDS
    with path.open("rb") as file:
        while not _is_locked(file):
            if time.monotonic() > end:
                raise _busy(online.store_name)
            time.sleep(POLL_SECONDS)
        yield  # closing the file ends the lock


def _is_locked(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _redis_lock(online: "OnlineHistories") -> Iterator[None]:
    client = redis_client(online.store)
    lock = client.lock(f"redrec:writing:{online.store.project}", timeout=EXPIRY_SECONDS, sleep=POLL_SECONDS)
    with answering(online.store_name):
        if not lock.acquire(blocking_timeout=WAIT_SECONDS):
            raise _busy(online.store_name)
    try:
        yield
    finally:
        with answering(online.store_name):
            lock.release()


def _busy(name: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"Another process has been writing into the online store ({name}) for {WAIT_SECONDS} s. Try again when it has "
        "ended."
    )
