"""Sums: rows of single days become sums up to each day, and users until a day."""

from math import nan

import numpy as np

from redrec.experiments.sums import Added, UserLog, bits_of, sums_of
from tests.experiments.logs import planned

EVENTS = 3


def outcome(arm: int, day: int, click: float, product: float) -> dict:
    zeros = {f"x_{number}": 0.0 for number in range(EVENTS)} | {f"rows_{number}": 0 for number in range(EVENTS)}
    products = {f"xx_{first}_{second}": 0.0 for first in range(EVENTS) for second in range(first, EVENTS)}
    return {**zeros, **products, "arm": arm, "day": day, "x_0": click, "xx_0_0": product, "xx_0_1": 5.0, "rows_2": 1}


def test_days_are_added_up_and_products_are_symmetric():
    users = [{"arm": 0, "day": 0, "num_users": 2}, {"arm": 0, "day": 2, "num_users": 1}]
    exposures = [{"arm": 1, "day": 1, "num_rows": 4}]
    outcomes = [outcome(0, 0, 3.0, 5.0), outcome(0, 2, 1.0, 7.0), outcome(1, 1, 2.0, 2.0)]
    sums = sums_of(Added(users, exposures, outcomes), planned(days=7), bits_E=(0, 0, 0))
    assert sums.num_users_AD[:, :4].tolist() == [[2, 2, 3, 3], [0, 0, 0, 0]]
    assert sums.total_ADE[0, :4, 0].tolist() == [3.0, 3.0, 4.0, 4.0]
    assert sums.product_ADEE[0, 2, 0, 0] == 12.0
    assert np.array_equal(sums.product_ADEE, sums.product_ADEE.swapaxes(2, 3))
    assert sums.num_rows_ADR[1, :3, 0].tolist() == [0, 4, 4]
    assert sums.num_rows_ADR[0, :3, 3].tolist() == [1, 1, 2]


def test_steps_are_a_share_of_what_the_first_day_adds():
    plan = planned()
    days = [
        ("ads", "click", 0, 700.0),
        ("search", "click", 0, 300.0),
        ("ads", "click", 1, 1e9),
        ("ads", "hide", 0, nan),
    ]
    counts = [dict(zip(("scenario", "event", "day", "size"), day, strict=True)) for day in days]
    bits = dict(zip(plan.events, bits_of(counts, plan), strict=True))
    assert bits == {"click": 36 - 10, "impression": 20, "hide": 20}
    assert sums_of(Added([], [], [outcome(0, 0, 2.0**26, 2.0**52)]), plan, (26, 0, 0)).total_ADE[0, 0, 0] == 1.0


def test_only_users_who_are_exposed_by_then_count():
    log = UserLog(np.array([0, 1, 1]), np.array([0, 1, 2]), np.arange(9.0).reshape(3, 3, 1))
    assert log.until(1).arm_U.tolist() == [0]
    until_two = log.until(2)
    assert until_two.arm_U.tolist() == [0, 1]
    assert until_two.total_UE[:, 0].tolist() == [1.0, 4.0]
