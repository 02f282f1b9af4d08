"""Exposures: one row where an arm was really served, in CSV files in a folder that `redrec gate` reads, or in a topic.

An interleaved list is an exposure to no arm: its items are rows of files in a folder of their own within it, which
`redrec gate interleave` reads, or of a topic of their own.

A request only puts a row into a bounded queue. One thread writes what has gathered: to a file by one `write` per batch,
so that it never ends inside a row, and to a new one when it is large or old; or to a topic (`serving.exposure_topic`).
Each server has files of its own, so several may write to one folder. A full queue, a full disk or a broker that is away
loses rows and never an answer; each lost row is counted.
"""

import csv
import io
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import NamedTuple, Protocol
from uuid import uuid4

from prometheus_client import Counter

from redrec.config import InputError
from serving.exposure_topic import ExposureTopic, RowsLostError, TopicName, check_topic

logger = logging.getLogger(__name__)

EXPOSURES = Counter(
    "redrec_exposures",
    "Exposures by outcome: written, or lost since the queue was full or the folder or topic did not take them",
    ["outcome"],
)
INTERLEAVED = Counter("redrec_interleaved_items", "Items of interleaved lists by outcome, as exposures", ["outcome"])
WRITTEN, QUEUE_FULL, NOT_WRITTEN = "written", "queue_full", "not_written"
MAX_QUEUED = 100_000  # rows, some 50 MB; at 1,000 requests a second a disk may hang for over a minute
MAX_QUEUED_LISTS = 10_000  # of 10 items, as many bytes
GATHER_S = 0.2  # how long rows are gathered for one write
MAX_BYTES = 64 * 1024 * 1024  # of a file
MAX_AGE_S = 3600.0  # of a file that is written to
STOP_S = 5.0  # for the last rows, within the server's grace period


class Exposure(NamedTuple):
    """A row; its fields are the columns of the files."""

    exposure_id: str
    experiment: str
    user_id: str
    scenario: str
    arm: str
    timestamp: str
    bundle_id: str
    plan_hash: str


class InterleavedItem(NamedTuple):
    """A row; its fields are the columns of the files."""

    request_id: str
    experiment: str
    user_id: str
    scenario: str
    item_id: str
    team: str  # control, treatment, or nothing
    position: str
    timestamp: str
    plan_hash: str


Rows = Sequence[Exposure | InterleavedItem]


class Destination(Protocol):
    """Where rows go; one thread uses it."""

    def append(self, rows: Rows) -> None:
        """Append the rows, or raise OSError; a RowsLostError says how many are lost."""

    def close(self) -> None: ...


def interleaved(named: Path | TopicName) -> Path | TopicName:
    """Return the folder or topic of the interleaved lists."""
    return named.interleaved if isinstance(named, TopicName) else named / "interleaved"


def destination(named: Path | TopicName) -> Destination:
    return ExposureTopic(named, os.environ) if isinstance(named, TopicName) else ExposureFiles(named)


def check_destination(named: Path | TopicName) -> None:
    """Check that rows can be written there; make the folder.

    Raises:
        InputError: They cannot.
    """
    if isinstance(named, TopicName):
        check_topic(named, os.environ)
    else:
        check_folder(named)


class ExposureLog:
    """Rows put in by `add` are written until `close`; all are of one type."""

    def __init__(self, destination: Destination, max_queued: int = MAX_QUEUED, counter: Counter = EXPOSURES) -> None:
        self.destination, self.counter = destination, counter
        self.queue: Queue[Rows | None] = Queue(max_queued)
        self.num_writing = 0
        self.is_failing = False
        for outcome in (WRITTEN, QUEUE_FULL, NOT_WRITTEN):
            counter.labels(outcome)  # 0 until there is one: an alert needs the first loss too
        self.thread = Thread(target=self._write_all, name="exposures", daemon=True)
        self.thread.start()

    def add(self, *rows: Exposure | InterleavedItem) -> bool:
        """Put the rows of an answer into the queue without waiting; return whether there was room."""
        try:
            self.queue.put_nowait(rows)
        except Full:
            self.counter.labels(QUEUE_FULL).inc(len(rows))
            return False
        return True

    def close(self) -> None:
        """Write what is queued, and end the thread; what is not written within `STOP_S` is lost."""
        until = time.monotonic() + STOP_S
        with suppress(Full):
            self.queue.put(None, timeout=STOP_S)
        self.thread.join(max(until - time.monotonic(), 0.0))
        if self.thread.is_alive():
            num_lost = self.num_writing + sum(len(rows) for rows in self._queued() if rows is not None)
            self.counter.labels(NOT_WRITTEN).inc(num_lost)
            logger.warning("exposures: %d rows are lost, since they were not written in %.0f s", num_lost, STOP_S)

    def _write_all(self) -> None:
        is_open = True
        while is_open:
            answers = [self.queue.get()]
            if answers[0] is not None:
                time.sleep(GATHER_S)
            answers += self._queued()
            is_open = None not in answers
            self._write(list(chain.from_iterable(rows for rows in answers if rows is not None)))
        self.destination.close()

    def _queued(self) -> list[Rows | None]:
        answers: list[Rows | None] = []
        try:
            while True:
                answers.append(self.queue.get_nowait())
        except Empty:
            return answers

    def _write(self, rows: Rows) -> None:
        if not rows:
            return
        self.num_writing, num_lost = len(rows), 0
        try:
            self.destination.append(rows)
        except OSError as error:
            num_lost = error.num_rows if isinstance(error, RowsLostError) else len(rows)
            if not self.is_failing:
                logger.warning("exposures: rows are lost until they can be written again: %s", error)
        if self.is_failing and not num_lost:
            logger.info("exposures: rows are written again")
        self.num_writing, self.is_failing = 0, num_lost > 0
        self.counter.labels(WRITTEN).inc(len(rows) - num_lost)
        self.counter.labels(NOT_WRITTEN).inc(num_lost)


class ExposureFiles:
    """The files of one server in a folder; one thread appends to them."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
        self.folder, self.max_bytes, self.max_age_s = folder, max_bytes, max_age_s
        self.file: int | None = None
        self.opened_s = 0.0

    def append(self, rows: Rows) -> None:
        """Append whole rows, or raise OSError and leave the file as it was."""
        content = csv_text(rows).encode()
        file, size = self._file_for(len(content))
        if size == 0:
            content = csv_text([rows[0]._fields]).encode() + content
        if os.write(file, content) < len(content):
            self._shorten(file, size)
            raise OSError("the disk took only a part of the rows")

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
        self.file = None

    def _file_for(self, num_bytes: int) -> tuple[int, int]:
        """Return a file that may grow by so many bytes, and its size."""
        if self.file is not None:
            state = os.fstat(self.file)
            is_old = time.monotonic() - self.opened_s > self.max_age_s
            is_large = state.st_size > 0 and state.st_size + num_bytes > self.max_bytes
            is_removed = state.st_nlink == 0
            if not (is_old or is_large or is_removed):
                return self.file, state.st_size
            self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:12]}.csv"
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self.opened_s = time.monotonic()
        return self.file, 0

    def _shorten(self, file: int, size: int) -> None:
        try:
            os.ftruncate(file, size)
        except OSError:
            self.close()  # the next rows begin another file
            raise


def csv_text(rows: Sequence[Sequence[str]]) -> str:
    r"""Return rows as CSV; a text with quotes, commas or line breaks is quoted.

    >>> csv_text([("e1", 'a "b", c'), ("e2", "d")])
    'e1,"a ""b"", c"\ne2,d\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def check_folder(folder: Path) -> None:
    """Make the folder, and check that files can be written there.

    Raises:
        InputError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid4().hex}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"Exposures cannot be written to {folder}: {error.strerror}. Give a folder that can be written."
        ) from error
