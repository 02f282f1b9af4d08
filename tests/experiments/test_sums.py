"""Sums: rows of single days become sums up to each day, and users until a day."""

import numpy as np

from redrec.experiments.sums import UserLog, daily_sums
from tests.experiments.logs import planned

EVENTS = 3


def row(arm: str, day: int, num_users: int, click: float, product: float) -> dict:
    zeros = {f"x_{number}": 0.0 for number in range(EVENTS)} | {f"rows_{number}": 0 for number in range(1 + EVENTS)}
    products = {f"xx_{first}_{second}": 0.0 for first in range(EVENTS) for second in range(first, EVENTS)}
    return {
        **zeros,
        **products,
        "arm": arm,
        "day": day,
        "num_users": num_users,
        "x_0": click,
        "xx_0_0": product,
        "xx_0_1": 5.0,
        "rows_0": num_users,
    }


def test_days_are_added_up_and_products_are_symmetric():
    rows = [row("control", 0, 2, 3.0, 5.0), row("control", 2, 1, 1.0, 7.0), row("treatment", 1, 4, 2.0, 2.0)]
    sums = daily_sums(rows, planned(days=7))
    assert sums.num_users_AD[:, :4].tolist() == [[2, 2, 3, 3], [0, 4, 4, 4]]
    assert sums.total_ADE[0, :4, 0].tolist() == [3.0, 3.0, 4.0, 4.0]
    assert sums.product_ADEE[0, 2, 0, 0] == 12.0
    assert np.array_equal(sums.product_ADEE, sums.product_ADEE.swapaxes(2, 3))
    assert sums.num_rows_ADR[1, :, 0].tolist() == [0, 4, 4, 4, 4, 4, 4]


def test_only_users_who_are_exposed_by_then_count():
    log = UserLog(np.array([0, 1, 1]), np.array([0, 1, 2]), np.arange(9.0).reshape(3, 3, 1))
    assert log.until(1).arm_U.tolist() == [0]
    until_two = log.until(2)
    assert until_two.arm_U.tolist() == [0, 1]
    assert until_two.total_UE[:, 0].tolist() == [1.0, 4.0]
