"""Pictures: coordinates are inside the frame, and grow with the values."""

import pytest

from redrec.experiments.picture import HEIGHT, WIDTH, Series, chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-1, 3.2, [-1, 0, 1, 2, 3]), (0.494, 0.507, [0.495, 0.5, 0.505]), (0, 1000, [0, 200, 400, 600, 800, 1000])],
)
def test_ticks_are_round_numbers_between_both(low, high, expected):
    assert ticks(low, high) == expected


def test_every_point_is_inside_and_higher_where_its_value_is_greater():
    drawn = chart("clicks", "", [Series("seen", "seen", [(1, -0.2), (7, 0.1), (14, 0.4)])], 14, "+.1%")
    (path,) = drawn.paths
    xs, ys, texts = zip(*path.dots, strict=True)
    assert xs == tuple(sorted(xs))
    assert ys == tuple(sorted(ys, reverse=True))
    assert (min(xs) >= 0, max(xs) <= WIDTH, min(ys) >= 0, max(ys) <= HEIGHT) == (True,) * 4
    assert texts == ("day 1: -20.0%", "day 7: +10.0%", "day 14: +40.0%")


def test_an_area_goes_there_and_back():
    (path,) = chart("", "", [Series("interval", "interval", [(1, 0), (2, 0)], [(1, 1), (2, 2)])], 2, ".1f").paths
    assert path.is_area
    assert len(path.coordinates.split()) == 4


def test_a_series_without_points_is_left_out():
    assert chart("", "", [Series("seen", "seen", [])], 1, ".1f").paths == []
