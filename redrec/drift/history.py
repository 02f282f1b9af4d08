"""History: the verdicts on a service's past windows, and the trainings that they started, as JSON lines.

One window is one line. A window that is written again replaces its line, so a run that is repeated changes nothing. A
result without windows has no time, and is not kept.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import AwareDatetime, ValidationError

from redrec.config import InputError, Record
from redrec.drift.verdicts import Drift
from redrec.store.content import read_content, write_content

MAX_WINDOWS = 500  # some 5 MB; the oldest are dropped
MAX_OVERLAP = 0.1  # a window is a share of a log, so its start moves by hours when the log grows by a week

Span = tuple[str, str]  # ISO times, the end excluded


class StartedTraining(Record):
    window: Span  # whose drift started it
    started_at: AwareDatetime
    reason: str  # as the run's name has it


class DriftHistory(Record):
    windows: tuple[Drift, ...] = ()  # the oldest first
    trainings: tuple[StartedTraining, ...] = ()

    def with_window(self, drift: Drift) -> "DriftHistory":
        """Return the history with this result in the line of its window."""
        if drift.windows is None:
            return self
        others = [one for one in self.windows if span_of(one) != span_of(drift)]
        windows = sorted([*others, drift], key=lambda one: moment(span_of(one)[1]))
        return self.model_copy(update={"windows": tuple(windows[-MAX_WINDOWS:])})

    def with_training(self, training: StartedTraining) -> "DriftHistory":
        """Return the history with this training; one that the same window has started before stays as it is."""
        if any(one.window == training.window for one in self.trainings):
            return self
        trainings = sorted([*self.trainings, training], key=lambda one: moment(one.window[1]))
        return self.model_copy(update={"trainings": tuple(trainings[-MAX_WINDOWS:])})

    def before(self, span: Span) -> "DriftHistory":
        """Return what was known before the window: earlier windows, and trainings that those have started."""
        end = moment(span[1])
        windows = tuple(one for one in self.windows if moment(span_of(one)[1]) < end)
        trainings = tuple(one for one in self.trainings if moment(one.window[1]) < end)
        return DriftHistory(windows=windows, trainings=trainings)

    def reference(self) -> Span | None:
        """Return the reference of the first window since the last training, None before it.

        Later windows are compared with it, too: the window before each would absorb a lasting change after one window,
        so that two of three never drift.
        """
        for drift in self.windows:
            if drift.windows is not None and self.is_open(drift):
                return drift.windows["reference"]
        return None

    def is_open(self, drift: Drift) -> bool:
        """Return whether no training has had the window's data."""
        return not self.trainings or follows(span_of(drift), self.trainings[-1].window)


NO_HISTORY = DriftHistory()


class HistoryLine(Record):
    window: Drift | None = None
    training: StartedTraining | None = None


def span_of(drift: Drift) -> Span:
    assert drift.windows is not None, "a result without windows is never kept"
    return drift.windows["current"]


def follows(later: Span, earlier: Span) -> bool:
    """Return whether the later window begins where the earlier one ends, but for `MAX_OVERLAP` of its length."""
    start, end = map(moment, later)
    return start + MAX_OVERLAP * (end - start) >= moment(earlier[1])


def moment(text: str) -> datetime:
    """Return the time; without a zone it is UTC.

    >>> moment("2026-01-05T00:00:00")
    datetime.datetime(2026, 1, 5, 0, 0, tzinfo=datetime.timezone.utc)
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_history(uri: str) -> DriftHistory:
    """Return the history at a path or s3://bucket/key; where nothing is, it is empty.

    Raises:
        InputError: A line is none of a history.
    """
    content = read_content(uri) or b""
    lines = [_line(uri, number, text) for number, text in enumerate(content.splitlines(), start=1)]
    history = DriftHistory(trainings=tuple(line.training for line in lines if line.training))
    return history.model_copy(update={"windows": tuple(line.window for line in lines if line.window)})


def write_history(uri: str, history: DriftHistory) -> None:
    """Replace the history at `uri`, whole or not at all; of two writers at once the later one wins."""
    write_content(uri, b"".join(_lines(history)))


def _lines(history: DriftHistory) -> Sequence[bytes]:
    lines = [HistoryLine(window=one) for one in history.windows]
    lines += [HistoryLine(training=one) for one in history.trainings]
    return [line.model_dump_json(exclude_none=True).encode() + b"\n" for line in lines]


def _line(uri: str, number: int, text: bytes) -> HistoryLine:
    try:
        return HistoryLine.model_validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"{uri}, line {number} is none of a drift history: {error.errors()[0]['msg']}. Give the file that the "
            "monitor pipeline writes, or remove the line."
        ) from error
