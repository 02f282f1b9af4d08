"""Availability: one mask between two changes, and a table without the columns."""

import numpy as np
import pyarrow as pa
import pytest

from redrec.index.availability import ALWAYS_MS, FOR_EVER_MS, FROM_FIELD, UNTIL_FIELD, Availability, window_ms
from tests.index.planted import ITEMS, NOON_MS, NUM_ITEMS, WINDOWED, WINDOWS_MS, is_available


@pytest.mark.parametrize("moment_ms", [-1, NOON_MS - 2, NOON_MS - 1, NOON_MS, NOON_MS + 1, 10**14])
def test_a_window_includes_its_first_moment_and_not_its_last(moment_ms: int):
    expected = [is_available(item, moment_ms) for item in range(NUM_ITEMS)]
    assert Availability(WINDOWED).at(moment_ms).tolist() == expected


def test_the_mask_is_right_whatever_the_order_of_moments():
    availability, rng = Availability(WINDOWED), np.random.default_rng(0)
    for moment_ms in (NOON_MS + rng.integers(-3, 4, 100)).tolist():
        assert availability.at(moment_ms).tolist() == [is_available(item, moment_ms) for item in range(NUM_ITEMS)]


def test_between_two_changes_requests_share_one_array():
    availability = Availability(WINDOWED)
    before_N = availability.at(NOON_MS - 10**6)
    assert availability.at(NOON_MS - 2) is before_N
    assert availability.at(NOON_MS - 1) is not before_N
    with pytest.raises(ValueError, match="read-only"):
        before_N[0] = False


def test_a_table_without_the_columns_has_no_windows_and_all_items_are_available():
    availability = Availability(ITEMS)
    assert not availability.has_windows and availability.at(NOON_MS).all()
    assert window_ms(ITEMS) == {}


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Warsaw"])
def test_times_of_any_unit_and_zone_become_milliseconds(unit: str, zone: str | None):
    times = (
        pa.array([NOON_MS // 1000, None], pa.timestamp("s")).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, "UTC"))
    )
    column = times.cast(pa.timestamp(unit, zone) if zone else pa.timestamp(unit))
    windows = window_ms(pa.table({"available_from": column, "available_until": column}))
    assert windows[FROM_FIELD].tolist() == [NOON_MS, ALWAYS_MS]
    assert windows[UNTIL_FIELD].tolist() == [NOON_MS, FOR_EVER_MS]
    assert WINDOWS_MS[0] == (None, None)
