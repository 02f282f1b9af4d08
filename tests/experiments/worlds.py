"""Worlds: generated experiments with heavy-tailed returning users, and a planted effect per scenario.

Unlike `redrec.experiments.simulation`, which writes tables, a world gives the sums that `read_log` would return, so that
thousands can be decided in minutes.

Shapes: U users, D days, A = 2 arms, E = 3 events: click, impression, hide.
"""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.experiments.permutation import is_permuted
from redrec.experiments.plan import Plan
from redrec.experiments.sums import ALL_SCENARIOS, MS_PER_DAY, ExperimentLog, ScenarioLog, Sums, UserLog

SCENARIOS = ("homefeed", "search", "ads")
EVENTS = ("click", "impression", "hide")
START = datetime(2026, 11, 2, tzinfo=UTC)
WEEKDAYS = np.array([1.0, 1.0, 0.95, 1.0, 1.1, 1.3, 1.25])
USER_SHARES = {"homefeed": 1.0, "search": 0.6, "ads": 0.3}


class Planted(NamedTuple):
    """Relative changes under treatment."""

    click: float = 0.0  # of the click rate
    volume: float = 0.0  # of the impressions
    hide: float = 0.0  # of the hide rate
    weak_users: float = 0.0  # of the impressions of users who click less than the median


def planned(**changes) -> Plan:
    return Plan(experiment="towers-2", scenarios=SCENARIOS, start=START, days=14, **changes)


def world(
    seed: int,
    plan: Plan,
    num_users: int = 6000,
    planted: dict[str, Planted] | None = None,
    novelty: float = 0.0,
    hide_rate: float = 0.01,
) -> ExperimentLog:
    """Return the log of one experiment; with `shared` a user has one arm in all scenarios."""
    rng = np.random.default_rng(seed)
    appeal_U = rng.normal(0, 0.7, num_users)  # shared by the scenarios: they are correlated
    activity_U = rng.lognormal(-0.5, 1.0, num_users)
    arm_U = (rng.random(num_users) < plan.treatment.weight).astype(np.int64)
    weekday_D = np.resize(WEEKDAYS, plan.days) * np.exp(rng.normal(0, 0.1, plan.days))  # and day shocks
    user_logs = {}
    for name in plan.scenarios:
        effect = (planted or {}).get(name, Planted())
        own_arm_U = arm_U if plan.applies == "shared" else rng.permutation(arm_U)
        is_here_U = rng.random(num_users) < USER_SHARES.get(name, 1.0)
        value_UDE = _values(rng, appeal_U, activity_U, own_arm_U, weekday_D, effect, novelty, hide_rate)
        value_UDE[~is_here_U] = 0
        user_logs[name] = own_arm_U, value_UDE
    if plan.applies == "shared":
        user_logs[ALL_SCENARIOS] = arm_U, np.sum([value for _, value in user_logs.values()], axis=0)
    scenarios = {name: _scenario_log(*of_users) for name, of_users in user_logs.items()}
    return ExperimentLog(scenarios, EVENTS, plan.days * MS_PER_DAY - 1)


def _values(rng, appeal_U, activity_U, arm_U, weekday_D, effect, novelty, hide_rate) -> NDArray[np.float64]:
    num_users = len(appeal_U)
    volume_U = activity_U * rng.lognormal(-0.1, 0.5, num_users)
    own_U = 1 / (1 + np.exp(2.2 - appeal_U - rng.normal(0, 0.5, num_users)))  # click rate, .1 in the middle
    is_weak_U = own_U < np.median(own_U)
    kept_U = 1 + arm_U * effect.volume + arm_U * is_weak_U * effect.weak_users
    fading_D = 1 + novelty * np.exp(-np.arange(len(weekday_D)) / 2)
    visit_UD = rng.poisson(volume_U[:, None] * weekday_D)  # these expose a user, whatever the arm then shows
    impression_UD = rng.binomial(visit_UD, np.clip(kept_U, 0, 1)[:, None])
    impression_UD += rng.poisson(visit_UD * np.maximum(kept_U - 1, 0)[:, None])
    rate_UD = own_U[:, None] * np.where(arm_U[:, None] == 1, (1 + effect.click) * fading_D, 1)
    hides_UD = rng.binomial(impression_UD, np.minimum(hide_rate * (1 + arm_U * effect.hide), 1)[:, None])
    clicks_UD = rng.binomial(impression_UD, np.minimum(rate_UD, 1))
    return np.stack([clicks_UD, impression_UD, hides_UD, visit_UD], axis=2).astype(float)


def _scenario_log(arm_U: NDArray[np.int64], value_UDE: NDArray[np.float64]) -> ScenarioLog:
    is_exposed_UD = np.cumsum(value_UDE[:, :, -1], axis=1) > 0
    value_UDE = value_UDE[:, :, : len(EVENTS)]
    is_seen_U = is_exposed_UD[:, -1]
    arm_U, value_UDE, is_exposed_UD = arm_U[is_seen_U], value_UDE[is_seen_U], is_exposed_UD[is_seen_U]
    total_UDE = np.cumsum(value_UDE, axis=1)
    by_arm = [_by_arm(values, arm_U) for values in (is_exposed_UD, total_UDE, value_UDE)]
    rows_ADE = np.stack([np.cumsum(values.sum(0), axis=0) for values in by_arm[2]]).astype(np.int64)
    sums = Sums(
        np.stack([values.sum(0) for values in by_arm[0]]),
        np.stack([values.sum(0) for values in by_arm[1]]),
        np.stack([np.einsum("ude,udf->def", values, values) for values in by_arm[1]]),
        np.concatenate([rows_ADE[:, :, 1:2], rows_ADE], axis=2),
    )
    due = [day for day, counts in enumerate(sums.num_users_AD.T.tolist()) if is_permuted(*counts)]
    first_day_U = is_exposed_UD.argmax(1)
    users = UserLog(arm_U, first_day_U, total_UDE) if due else None
    return ScenarioLog(sums, users, len(arm_U), 0, ())


def _by_arm(values, arm_U: NDArray[np.int64]) -> list[NDArray]:
    return [values[arm_U == arm] for arm in (0, 1)]
