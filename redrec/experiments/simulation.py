"""Simulation: generated exposures and outcomes of an experiment with known true effects.

Clicks cluster by user: every user has a click rate of their own, and several days with several impressions.
A test that treats impressions as independent underestimates the error by far here, as it would in production.
Arms come from the same bucketing as in production. `redrec.experiments.logs` says what the tables' columns are: an
exposure per user, scenario and day, and on each the numbers of impressions, clicks and hides (a user hides items that
annoy).
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from redrec.config import Config
from redrec.experiments.assignment import arms_of
from redrec.experiments.plan import Plan
from redrec.experiments.sums import MS_PER_DAY

USER_SPREAD = 0.7  # standard deviation of a user's log click rate; click rates of real users differ by factors


class SimulatedScenario(Config):
    name: str
    click_rate: float = Field(default=0.10, gt=0, lt=0.5)
    hide_rate: float = Field(default=0.02, gt=0, lt=0.5)
    click_effect: float = Field(default=0.0, gt=-1, lt=1)  # relative change of the click rate under treatment
    hide_effect: float = Field(default=0.0, gt=-1)
    user_share: float = Field(default=1.0, gt=0, le=1)  # of the users that have impressions in this scenario


class Simulation(Config):
    """What happens to the users; arms, days and weights are the plan's."""

    scenarios: tuple[SimulatedScenario, ...]
    num_users: PositiveInt
    impressions_per_day: PositiveFloat = 2.0
    lost_treatment_share: float = Field(default=0.0, ge=0, lt=1)  # a planted sample ratio mismatch
    seed: NonNegativeInt


class SimulatedTables(NamedTuple):
    exposures: pa.Table
    outcomes: pa.Table


def simulate(config: Simulation, plan: Plan) -> SimulatedTables:
    """Return the tables of one experiment; the order of their rows has no meaning."""
    rng = np.random.default_rng(config.seed)
    user_ids = [f"u{config.seed}-{number}" for number in range(config.num_users)]
    appeal_U = np.exp(rng.normal(-(USER_SPREAD**2) / 2, USER_SPREAD, config.num_users))  # mean 1
    tables = [_scenario_tables(config, plan, scenario, user_ids, appeal_U, rng) for scenario in config.scenarios]
    return SimulatedTables(*(pa.concat_tables(of_kind) for of_kind in zip(*tables, strict=True)))


def _scenario_tables(
    config: Simulation,
    plan: Plan,
    scenario: SimulatedScenario,
    user_ids: list[str],
    appeal_U: np.ndarray,
    rng: np.random.Generator,
) -> SimulatedTables:
    arm_U = arms_of(plan, scenario.name, user_ids)
    is_lost_U = (arm_U == 1) & (rng.random(config.num_users) < config.lost_treatment_share)
    is_seen_U = (arm_U >= 0) & (rng.random(config.num_users) < scenario.user_share) & ~is_lost_U
    user_R = np.repeat(np.flatnonzero(is_seen_U), plan.days)
    day_R = np.tile(np.arange(plan.days), int(is_seen_U.sum()))
    is_treated_R = arm_U[user_R] == 1
    impressions_R = rng.poisson(config.impressions_per_day, len(user_R))
    click_rate_R = scenario.click_rate * appeal_U[user_R] * np.where(is_treated_R, 1 + scenario.click_effect, 1)
    hide_rate_R = scenario.hide_rate * np.where(is_treated_R, 1 + scenario.hide_effect, 1)
    counts = {
        "impression": impressions_R,
        "click": rng.binomial(impressions_R, np.minimum(click_rate_R, 1)),
        "hide": rng.binomial(impressions_R, np.minimum(hide_rate_R, 1)),
    }
    time_R = round(plan.start.timestamp() * 1000) + day_R * MS_PER_DAY + rng.integers(MS_PER_DAY, size=len(day_R))
    keys = pa.table(
        {
            "row": np.arange(len(user_R)),
            "user_id": pa.array(user_ids).take(user_R),
            "scenario": pa.repeat(scenario.name, len(user_R)),
            "timestamp": pa.array(time_R, pa.timestamp("ms", "UTC")),
        }
    )
    arms = pa.array([arm.name for arm in plan.arms]).take(arm_U[user_R])
    exposures = keys.append_column("arm", arms).append_column("experiment", pa.repeat(plan.experiment, len(user_R)))
    return SimulatedTables(
        _with_ids(exposures.filter(pa.array(impressions_R > 0)), "exposure_id", f"{scenario.name}-"),
        pa.concat_tables([_outcomes(keys, scenario.name, event, count_R) for event, count_R in counts.items()]),
    )


def _outcomes(keys: pa.Table, scenario: str, event: str, count_R: np.ndarray) -> pa.Table:
    table = keys.append_column("event", pa.repeat(event, len(count_R))).append_column(
        "value", pa.array(count_R.astype(float))
    )
    return _with_ids(table.filter(pa.array(count_R > 0)), "event_id", f"{scenario}-{event}-")


def _with_ids(table: pa.Table, name: str, prefix: str) -> pa.Table:
    ids = pc.binary_join_element_wise(prefix, table["row"].cast(pa.string()), "")
    return table.drop_columns("row").append_column(name, ids)
