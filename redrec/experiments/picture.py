"""Picture: numbers by day in, the coordinates of a small SVG chart out, which a template draws."""

from collections.abc import Sequence
from itertools import chain
from math import floor, log10
from typing import NamedTuple

WIDTH, HEIGHT = 340, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 22  # margins, for the labels of the axes
NUM_TICKS = 4  # about

Points = Sequence[tuple[float, float]]  # day and value


class Series(NamedTuple):
    label: str
    style: str  # class of the template's style sheet
    points: Points
    upper: Points = ()  # with it the area between both is filled


class Tick(NamedTuple):
    position: float
    label: str


class Path(NamedTuple):
    label: str
    style: str
    coordinates: str  # of an SVG polyline or polygon
    is_area: bool
    dots: list[tuple[float, float, str]]  # with the text that a pointer shows


class Chart(NamedTuple):
    title: str
    note: str
    paths: list[Path]
    days: list[Tick]
    values: list[Tick]


def chart(title: str, note: str, all_series: Sequence[Series], num_days: int, unit: str) -> Chart:
    """Return a chart whose days are 1 to `num_days`; `unit` is the format of a value, as in `+.1%`."""
    drawn = [series for series in all_series if series.points]
    values = list(chain.from_iterable(map(_values, drawn)))
    low, high = _padded(min(values, default=0.0), max(values, default=0.0))

    def x(day: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (day - 1) / max(1, num_days - 1), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    paths = []
    for series in drawn:
        outline = [*series.points, *reversed(series.upper)]
        coordinates = " ".join(f"{x(day)},{y(value)}" for day, value in outline)
        dots = [] if series.upper else [(x(day), y(value), f"day {day:g}: {value:{unit}}") for day, value in outline]
        paths.append(Path(series.label, series.style, coordinates, bool(series.upper), dots))
    step = max(1, num_days // 7)
    days = [Tick(x(day), str(day)) for day in range(step, num_days + 1, step)]
    return Chart(title, note, paths, days, [Tick(y(value), f"{value:{unit}}") for value in ticks(low, high)])


def _values(series: Series) -> list[float]:
    return [value for _, value in (*series.points, *series.upper)]


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.08 * (high - low) or 0.01
    return low - margin, high + margin


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between `low` and `high`.

    >>> ticks(-0.07, 0.16)
    [-0.05, 0.0, 0.05, 0.1, 0.15]
    """
    rough = (high - low) / NUM_TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.8 * rough)
    numbers = range(-floor(-low / step), floor(high / step) + 1)
    return [round(number * step, 10) for number in numbers]
