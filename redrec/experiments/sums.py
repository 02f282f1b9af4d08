"""Sums: what statistics need of an experiment's log, per scenario, arm and day.

Shapes: A = 2 arms, U users, D days, E events and covariates of the plan, R = 1 + its events: exposures, and outcomes
of each event.
"""

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, isfinite, log2
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.experiments.permutation import UserTotals
from redrec.experiments.plan import Plan

ALL_SCENARIOS = ""  # stands for all scenarios together; no scenario has an empty name
STEP_BITS = 36  # of what the first day adds
UNSEEN_SIZE = 2.0**16  # of an event that the first day has not: steps of about a millionth
MAX_STEPS = 2.0**56  # that a day may add, so that sums of all days, and of their products, have room in 128 bits
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 24 * MS_PER_HOUR


class Sums(NamedTuple):
    """Sums over the users of one scenario, from the start of the experiment to the end of each day."""

    num_users_AD: NDArray[np.int64]
    total_ADE: NDArray[np.float64]
    product_ADEE: NDArray[np.float64]
    num_rows_ADR: NDArray[np.int64]

    def added_up(self) -> "Sums":
        """Return the sums up to each day, of sums of single days."""
        users_AD, rows_ADR = np.cumsum(self.num_users_AD, axis=1), np.cumsum(self.num_rows_ADR, axis=1)
        return Sums(users_AD, np.cumsum(self.total_ADE, axis=1), np.cumsum(self.product_ADEE, axis=1), rows_ADR)


class UserLog(NamedTuple):
    """What single users did, of the days on which a scenario has too few for a normal approximation."""

    arm_U: NDArray[np.int64]
    first_day_U: NDArray[np.int64]
    total_UDE: NDArray[np.float64]  # from the start to the end of each day

    def until(self, day: int) -> UserTotals:
        """Return the users exposed until the end of `day`; the first day is 1."""
        is_exposed_U = self.first_day_U < day
        return UserTotals(self.arm_U[is_exposed_U], self.total_UDE[is_exposed_U, day - 1])


class ScenarioLog(NamedTuple):
    sums: Sums
    users: UserLog | None
    num_users: int
    num_in_both_arms: int
    faults: tuple[str, ...]  # what makes the scenario undecidable, in words


class ExperimentLog(NamedTuple):
    """What the tables say of each scenario, and with a shared plan of ALL_SCENARIOS."""

    scenarios: dict[str, ScenarioLog]
    columns: tuple[str, ...]  # the axis E
    newest_ms: int  # newest row of both tables, since the start


class Added(NamedTuple):
    """What single days added, as rows of an arm (0 or 1) and a day."""

    users: list[dict[str, Any]]  # num_users, who were first exposed
    exposures: list[dict[str, Any]]  # num_rows
    outcomes: list[dict[str, Any]]  # x_E to the totals, xx_E_E to the products, rows_E to the rows; in steps


def bits_of(counts: list[dict[str, Any]], plan: Plan) -> tuple[int, ...]:
    """Return, per event and covariate, the bits after the point of the steps that its values are counted in.

    Sums of whole numbers are exact, so they depend neither on the order of the rows nor on how many threads add them.
    The first day's sizes decide, so that all later looks have the same steps: 2^-36 of what it adds.
    """
    sizes = dict.fromkeys(plan.events, 0.0)
    for row in counts:
        if row["day"] == 0 and isfinite(row["size"]):
            sizes[row["event"]] += row["size"]
    bits = {event: STEP_BITS - ceil(log2(size or UNSEEN_SIZE)) for event, size in sizes.items()}
    return tuple(bits[event] for event in (*plan.events, *plan.covariate_events))


def sums_of(added: Added, plan: Plan, bits_E: Sequence[int]) -> Sums:
    """Return the sums up to each day."""
    num_columns, shape = len(plan.columns), (2, plan.days)
    sums = Sums(
        np.zeros(shape, np.int64),
        np.zeros((*shape, num_columns)),
        np.zeros((*shape, num_columns, num_columns)),
        np.zeros((*shape, 1 + len(plan.events)), np.int64),
    )
    for row in added.users:
        sums.num_users_AD[row["arm"], row["day"]] = row["num_users"]
    for row in added.exposures:
        sums.num_rows_ADR[row["arm"], row["day"], 0] = row["num_rows"]
    for row in added.outcomes:
        at = row["arm"], row["day"]
        for number in range(len(plan.events)):
            sums.num_rows_ADR[(*at, 1 + number)] = row[f"rows_{number}"]
        for first in range(num_columns):
            sums.total_ADE[(*at, first)] = _number(row[f"x_{first}"], bits_E[first])
            for second in range(num_columns):
                low, high = sorted((first, second))
                sums.product_ADEE[(*at, first, second)] = _number(row[f"xx_{low}_{high}"], bits_E[low] + bits_E[high])
    return sums.added_up()


def _number(steps: int | Decimal, bits: int) -> float:
    return float(int(steps)) * 2.0**-bits
