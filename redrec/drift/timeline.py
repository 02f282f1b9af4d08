"""Timeline: verdicts and actions window by window, as one HTML page that loads no other file.

Names of scenarios and columns are the user's texts, so the template escapes them.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from redrec.drift.actions import drifted_columns
from redrec.drift.history import DriftHistory, moment, span_of
from redrec.drift.verdicts import Drift, ScenarioDrift

MAX_SHOWN = 60  # the newest windows
STEP, SIDE = 26, 22  # from one window to the next, and the side of its square, in pixels
HEIGHT = 90  # of the chart of effects
TOP = 8  # its margin
MARKS = {"none": "", "watch": "w", "retrain": "R", "check_data": "!", "wait": "·"}


class WindowMark(NamedTuple):
    """A scenario's verdict in one window."""

    x: float
    verdict: str
    mark: str  # of the action
    text: str  # that a pointer shows


class EffectLine(NamedTuple):
    """A column's effect over its floor, window by window."""

    label: str
    number: int  # of its colour
    coordinates: str  # of an SVG polyline
    dots: list[tuple[float, float, str]]


class ScenarioRow(NamedTuple):
    name: str
    newest: ScenarioDrift
    marks: list[WindowMark]
    lines: list[EffectLine]
    floor_y: float  # where effect and floor are equal


def timeline_page(history: DriftHistory, newest: Drift) -> str:
    """Return the page; of a result without windows there is nothing but its words."""
    from jinja2 import Environment, PackageLoader

    windows = history.windows[-MAX_SHOWN:]
    rows = [_row(name, scenario, windows) for name, scenario in newest.scenarios.items()]
    template = Environment(loader=PackageLoader("redrec.drift", "."), autoescape=True).get_template("timeline.html")
    return template.render(
        rows=rows,
        ends=[(_x(number), f"{moment(span_of(one)[1]):%m-%d}") for number, one in enumerate(windows)],
        trainings=history.trainings[::-1],
        width=STEP * max(1, len(windows)) + STEP,
        height=HEIGHT,
        side=SIDE,
        marks=MARKS,
    )


def _row(name: str, newest: ScenarioDrift, windows: Sequence[Drift]) -> ScenarioRow:
    marks = []
    for number, drift in enumerate(windows):
        if name in drift.scenarios:
            one = drift.scenarios[name]
            text = f"{' to '.join(span_of(drift))}: {one.verdict}, {one.action}. {one.reason}. {one.action_reason}"
            marks.append(WindowMark(_x(number), one.verdict, MARKS[one.action], text))
    ratios = _ratios(name, windows)
    top = max([1.5, *(max(by_window.values()) for by_window in ratios.values())])
    lines = [_line(number, column, by_window, top) for number, (column, by_window) in enumerate(ratios.items())]
    return ScenarioRow(name, newest, marks, lines, _y(1.0, top))


def _ratios(name: str, windows: Sequence[Drift]) -> dict[str, dict[int, float]]:
    """Return the effect over the floor of the columns that have drifted in a window, by column and window's number."""
    by_number = {number: one.scenarios[name] for number, one in enumerate(windows) if name in one.scenarios}
    columns = dict.fromkeys(chain.from_iterable(map(drifted_columns, by_number.values())))
    ratios = {column: _of_column(column, by_number) for column in columns}
    return {column: of_column for column, of_column in ratios.items() if of_column}


def _of_column(column: str, by_number: Mapping[int, ScenarioDrift]) -> dict[int, float]:
    ratios = {}
    for number, scenario in by_number.items():
        figures = scenario.all_columns.get(column)
        if figures is not None and figures.effect is not None and figures.floor:
            ratios[number] = figures.effect / figures.floor
    return ratios


def _line(number: int, column: str, by_window: dict[int, float], top: float) -> EffectLine:
    dots = [(_x(window), _y(value, top), f"{column}: {value:.2f} of the floor") for window, value in by_window.items()]
    return EffectLine(column, number % 6, " ".join(f"{x},{y}" for x, y, _ in dots), dots)


def _x(number: int) -> float:
    return STEP * number + STEP / 2


def _y(value: float, top: float) -> float:
    return round(TOP + (HEIGHT - 2 * TOP) * (1 - value / top), 1)
