"""Drift: event logs in files, or a run's data folder, in; the verdicts, or floors from past weeks, out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data.split import read_split
from redrec.data.tables import connect, read
from redrec.drift.actions import with_actions
from redrec.drift.calibration import MIN_PAIRS, NOT_CALIBRATED, Calibration, calibrated
from redrec.drift.compare import compare, effects
from redrec.drift.config import DriftConfig
from redrec.drift.history import NO_HISTORY, DriftHistory, moment
from redrec.drift.logs import Logs, Sources, comparable, extent, logs_of, read_log, read_logs
from redrec.drift.verdicts import Drift
from redrec.drift.windows import MS, WEEK, Window
from redrec.folders import DataFolder

MAX_PAIRS = 12  # of past windows


class Opened(NamedTuple):
    """Two windows, and the pairs before them, whose tables are readable as long as `scratch` exists."""

    logs: Logs
    scratch: Path
    past: tuple[Logs, ...] = ()

    def drift(self, config: DriftConfig, calibration: Calibration | None = None) -> Drift:
        """Return the verdicts, with the actions that follow from this window alone.

        Without a calibration, the past pairs are one if there are enough.
        """
        if calibration is None:
            calibration = self.calibration(config) if len(self.past) >= MIN_PAIRS else NOT_CALIBRATED
        return with_actions(compare(self.logs, config, self.scratch, calibration), NO_HISTORY, config)

    def calibration(self, config: DriftConfig) -> Calibration:
        """Return the floors by what changed in the past pairs."""
        return calibrated([effects(pair, config, self.scratch) for pair in self.past])


@contextmanager
def opened(sources: Sources) -> Iterator[Opened]:
    """Open two event logs.

    Raises:
        InputError: A table does not exist, cannot be read, lacks a column, or has no usable row.
    """
    with _session() as (connection, scratch):
        yield Opened(read_logs(connection, sources, scratch), scratch)


@contextmanager
def opened_data(data: Path, history: DriftHistory = NO_HISTORY) -> Iterator[Opened]:
    """Open a data folder: its test period, and the time before it.

    The reference is no newer than that of the first window since the last training (`DriftHistory.reference`).

    Raises:
        InputError: `data` lacks its event or item table.
    """
    start = datetime.fromtimestamp(read_split(data).test_start_ms / 1000, UTC).replace(tzinfo=None)
    with _session() as (connection, scratch):
        events = read(connection, DataFolder(data).events, "events")
        logs = logs_of(events, events, read(connection, DataFolder(data).items, "items"))
        first, last = extent(logs.current, "events")
        current = Window(start, last + MS)
        pinned = history.before(current.iso).reference()
        available = Window(first, min(start, moment(pinned[1]).replace(tzinfo=None)) if pinned else start)
        past = _pairs(logs, available, current.end - current.start)
        yield Opened(comparable(logs._replace(current=current.of(logs.current)), available, current), scratch, past)


def calibrate(sources: Sources, days: int, config: DriftConfig) -> Calibration:
    """Return the floors by the past windows of a log, given as reference: each of some days, whole weeks apart.

    Raises:
        InputError: As for `opened`, or the log is shorter than two windows.
    """
    with _session() as (connection, scratch):
        log = read_log(connection, sources, scratch)
        available = Window(*extent(log.reference, "events")).whole_days
        pairs = _pairs(log, available, timedelta(days=days))
        if not pairs:
            seen = (available.end - available.start).days
            raise InputError(f"The log has {seen} days, fewer than two windows of {days} days. Give a longer log.")
        return Opened(log, scratch, pairs).calibration(config)


@contextmanager
def _session() -> Iterator[tuple[SQLBackend, Path]]:
    """Yield a connection and its scratch folder; both end with the caller's work, also after an error."""
    with TemporaryDirectory() as folder:
        connection = connect(scratch=Path(folder))
        try:
            yield connection, Path(folder)
        finally:
            connection.disconnect()


def _pairs(log: Logs, available: Window, length: timedelta) -> tuple[Logs, ...]:
    """Return pairs of following windows of a log, of that length and whole weeks apart, the newest ones."""
    step = math.ceil(length / WEEK)
    windows = [Window(available.end - length, available.end)]
    while len(windows) <= MAX_PAIRS and available.holds(windows[0].moved(-step)):
        windows.insert(0, windows[0].moved(-step))
    pairs = []
    for before, since in pairwise(windows):
        tables = {"reference": before.of(log.reference), "current": since.of(log.reference)}
        pairs.append(log._replace(**tables, windows=(before, since)))
    return tuple(pairs)
