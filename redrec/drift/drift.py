"""Drift: event logs in files, or a run's data folder, in; the verdicts, or floors from past weeks, out."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from redrec.config import InputError
from redrec.data.split import read_split
from redrec.data.tables import connect, read
from redrec.drift.calibration import NOT_CALIBRATED, Calibration, calibrated
from redrec.drift.compare import compare, effects
from redrec.drift.config import DriftConfig
from redrec.drift.history import NO_HISTORY, DriftHistory, moment
from redrec.drift.logs import Logs, Sources, comparable, extent, logs_of, read_log, read_logs
from redrec.drift.verdicts import Drift
from redrec.drift.windows import MS, WEEK, Window
from redrec.folders import DataFolder


class Opened(NamedTuple):
    """Two windows, whose tables are readable as long as `scratch` exists."""

    logs: Logs
    scratch: Path

    def drift(self, config: DriftConfig, calibration: Calibration = NOT_CALIBRATED) -> Drift:
        return compare(self.logs, config, self.scratch, calibration)


@contextmanager
def opened(sources: Sources) -> Iterator[Opened]:
    """Open two event logs.

    Raises:
        InputError: A table does not exist, cannot be read, lacks a column, or has no usable row.
    """
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        connection = connect(scratch=scratch)
        yield Opened(read_logs(connection, sources, scratch), scratch)
        connection.disconnect()


@contextmanager
def opened_data(data: Path, history: DriftHistory = NO_HISTORY) -> Iterator[Opened]:
    """Open a data folder: its test period, and the time before it.

    The reference is no newer than that of the first window since the last training (`DriftHistory.reference`).

    Raises:
        InputError: `data` lacks its event or item table.
    """
    start = datetime.fromtimestamp(read_split(data).test_start_ms / 1000, UTC).replace(tzinfo=None)
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        connection = connect(scratch=scratch)
        events = read(connection, DataFolder(data).events, "events")
        logs = logs_of(events, events, read(connection, DataFolder(data).items, "items"))
        first, last = extent(logs.current, "events")
        current = Window(start, last + MS)
        pinned = history.before(current.iso).reference()
        available = Window(first, min(start, moment(pinned[1]).replace(tzinfo=None)) if pinned else start)
        yield Opened(comparable(logs._replace(current=current.of(logs.current)), available, current), scratch)
        connection.disconnect()


def calibrate(sources: Sources, days: int, config: DriftConfig) -> Calibration:
    """Return the floors by the past windows of a log, given as reference: each of some days, whole weeks apart.

    Raises:
        InputError: As for `opened`, or the log is shorter than two windows.
    """
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        connection = connect(scratch=scratch)
        log = read_log(connection, sources, scratch)
        windows = _past_windows(Window(*extent(log.reference, "events")).whole_days, days)
        pairs = []
        for before, since in pairwise(windows):
            tables = {"reference": before.of(log.reference), "current": since.of(log.reference)}
            pairs.append(effects(log._replace(**tables, windows=(before, since)), config, scratch))
        connection.disconnect()
    return calibrated(pairs, days)


def _past_windows(available: Window, days: int) -> list[Window]:
    """Return the windows of some days, whole weeks apart, the newest last."""
    step = -(-days // WEEK.days)
    newest = Window(available.end - days * WEEK / WEEK.days, available.end)
    windows = [newest]
    while available.holds(windows[0].moved(-step)):
        windows.insert(0, windows[0].moved(-step))
    if len(windows) == 1:
        seen = (available.end - available.start).days
        raise InputError(f"The log has {seen} days, fewer than two windows of {days} days. Give a longer log.")
    return windows
