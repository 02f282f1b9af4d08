"""Windows: the reference is as long as the current window and whole weeks from it."""

from datetime import datetime, timedelta

import pytest

from redrec.drift.windows import DAY, WEEK, Window, reference_window

START = datetime(2026, 1, 5)  # a Monday


def window(first_day: int, num_days: int) -> Window:
    return Window(START + first_day * DAY, START + (first_day + num_days) * DAY)


@pytest.mark.parametrize(
    ("current", "available", "expected"),
    [
        (window(7, 7), window(0, 7), window(0, 7)),
        (window(28, 7), window(0, 30), window(21, 7)),  # the newest of several
        (window(12, 2), window(0, 12), window(5, 2)),  # a weekend with the weekend before
        (window(12, 2), window(0, 5), None),  # only workdays before
        (window(7, 7), window(3, 4), None),  # too short
        (window(7, 7), window(7, 7), window(7, 7)),  # other users at the same time
        (window(0, 7), window(14, 7), window(14, 7)),  # a reference that is later
    ],
)
def test_the_reference_has_the_same_days_of_the_newest_possible_week(current, available, expected):
    assert reference_window(current, available) == expected


def test_whole_days_hold_the_last_moment_also_if_it_is_midnight():
    days = Window(START + timedelta(hours=8), START + WEEK).whole_days
    assert days == window(0, 8)
    assert str(window(5, 2)) == "Sat 2026-01-10 to Sun 2026-01-11"
    assert window(0, 1).iso == ("2026-01-05T00:00:00", "2026-01-06T00:00:00")
