"""Windows: which times of a reference are compared with the current ones: as long, and whole weeks apart.

People act otherwise at weekends, so days are compared with the same days of other weeks.
"""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

import ibis.expr.types as ir

from redrec.data import columns as c

WEEK, DAY, MS = timedelta(days=7), timedelta(days=1), timedelta(milliseconds=1)


class Window(NamedTuple):
    """Times from `start` to just before `end`, UTC, without a zone."""

    start: datetime
    end: datetime

    def of(self, events: ir.Table) -> ir.Table:
        return events.filter(events[c.TIMESTAMP] >= self.start, events[c.TIMESTAMP] < self.end)

    def moved(self, weeks: int) -> "Window":
        return Window(self.start + weeks * WEEK, self.end + weeks * WEEK)

    def holds(self, other: "Window") -> bool:
        return self.start <= other.start and other.end <= self.end

    @property
    def whole_days(self) -> "Window":
        """Return the window from the midnight before it to the midnight after its last moment, `end`.

        >>> Window(datetime(2026, 1, 5, 8), datetime(2026, 1, 6, 9)).whole_days.end
        datetime.datetime(2026, 1, 7, 0, 0)
        """
        start = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        return Window(start, start + ((self.end - start) // DAY + 1) * DAY)

    def __str__(self) -> str:
        return f"{self.start:%a %Y-%m-%d} to {self.end - MS:%a %Y-%m-%d}"

    @property
    def iso(self) -> tuple[str, str]:
        return self.start.isoformat(), self.end.isoformat()


def reference_window(current: Window, available: Window) -> Window | None:
    """Return the newest window of those available that is as long as the current one and whole weeks apart from it.

    Before it if there is one, else at the same time or after it; None if there is none.

    >>> week = Window(datetime(2026, 1, 12), datetime(2026, 1, 19))
    >>> reference_window(week, Window(datetime(2026, 1, 1), datetime(2026, 1, 14))).start
    datetime.datetime(2026, 1, 5, 0, 0)
    >>> reference_window(week, Window(datetime(2026, 1, 6), datetime(2026, 1, 14)))
    """
    newest = math.floor((available.end - current.end) / WEEK)
    moved = current.moved(min(newest, -1))
    if not available.holds(moved):
        moved = current.moved(newest)
    return moved if available.holds(moved) else None
