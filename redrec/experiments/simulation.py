"""Simulation: a generated experiment log with known true effects.

Clicks cluster by user: every user has a click rate of their own, and several days with several impressions.
A test that treats impressions as independent underestimates the error by far here, as it would in production.
Arms come from the same bucketing as in production, seeded by the experiment's name.

One row per user, scenario and day: experiment, user_id, scenario, arm, day (0 is the first), impressions,
clicks, hides (the guardrail: a user hides items that annoy).
"""

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from redrec.config import Config
from redrec.experiments.assignment import bucket_ranges, buckets, choose_arms

ARMS = ("control", "treatment")
USER_SPREAD = 0.7  # standard deviation of a user's log click rate; click rates of real users differ by factors


class SimulatedScenario(Config):
    name: str
    click_rate: float = Field(default=0.10, gt=0, lt=0.5)
    hide_rate: float = Field(default=0.02, gt=0, lt=0.5)
    click_effect: float = Field(default=0.0, gt=-1, lt=1)  # relative change of the click rate under treatment
    hide_effect: float = Field(default=0.0, gt=-1)
    user_share: float = Field(default=1.0, gt=0, le=1)  # of the users that have impressions in this scenario


class Simulation(Config):
    experiment: str
    scenarios: tuple[SimulatedScenario, ...]
    num_users: PositiveInt
    num_days: PositiveInt = 7
    impressions_per_day: PositiveFloat = 2.0
    weights: tuple[float, float] = (0.5, 0.5)
    lost_treatment_share: float = Field(default=0.0, ge=0, lt=1)  # a planted sample ratio mismatch
    seed: NonNegativeInt


def simulate(config: Simulation) -> pa.Table:
    """Return the log of one experiment; the order of its rows has no meaning."""
    rng = np.random.default_rng(config.seed)
    user_ids = [f"u{config.seed}-{number}" for number in range(config.num_users)]
    arm_U = choose_arms(buckets(config.experiment, user_ids), bucket_ranges(config.weights))
    is_lost_U = (arm_U == 1) & (rng.random(config.num_users) < config.lost_treatment_share)
    appeal_U = np.exp(rng.normal(-(USER_SPREAD**2) / 2, USER_SPREAD, config.num_users))  # mean 1
    return pa.concat_tables(
        [_scenario_log(config, scenario, user_ids, arm_U, is_lost_U, appeal_U, rng) for scenario in config.scenarios]
    )


def _scenario_log(
    config: Simulation,
    scenario: SimulatedScenario,
    user_ids: list[str],
    arm_U: np.ndarray,
    is_lost_U: np.ndarray,
    appeal_U: np.ndarray,
    rng: np.random.Generator,
) -> pa.Table:
    is_seen_U = (rng.random(config.num_users) < scenario.user_share) & ~is_lost_U
    user_R = np.repeat(np.flatnonzero(is_seen_U), config.num_days)
    day_R = np.tile(np.arange(config.num_days), int(is_seen_U.sum()))
    is_treated_R = arm_U[user_R] == 1
    impressions_R = rng.poisson(config.impressions_per_day, len(user_R))
    click_rate_R = scenario.click_rate * appeal_U[user_R] * np.where(is_treated_R, 1 + scenario.click_effect, 1)
    hide_rate_R = scenario.hide_rate * np.where(is_treated_R, 1 + scenario.hide_effect, 1)
    return pa.table(
        {
            "experiment": pa.repeat(config.experiment, len(user_R)),
            "user_id": pa.array(user_ids).take(user_R),
            "scenario": pa.repeat(scenario.name, len(user_R)),
            "arm": pa.array(ARMS).take(arm_U[user_R]),
            "day": day_R,
            "impressions": impressions_R,
            "clicks": rng.binomial(impressions_R, np.minimum(click_rate_R, 1)),
            "hides": rng.binomial(impressions_R, np.minimum(hide_rate_R, 1)),
        }
    )
