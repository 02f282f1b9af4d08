"""Power: how likely a plan promotes an effect, and which effect is likely enough, from the log of a time before it.

A promotion needs the metric and all guardrails on one day, so their power is that of all together: statistics are drawn
with the correlation that the users' sums have, they grow from day to day as the information of the log does, and the
plan's own boundaries decide. What only a joint look shows: a guardrail with a narrow margin costs most of the power.

Shapes: N draws, D days, M metrics: the primary and the guardrails, E events of the plan.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from redrec.config import Record
from redrec.experiments import rules
from redrec.experiments.effects import Difference
from redrec.experiments.looks import MetricLooks
from redrec.experiments.plan import Guardrail, Metric, Plan
from redrec.experiments.sums import Sums
from redrec.experiments.view import View

NUM_DRAWS = 4_000  # a share of .8 is then known to .006
ENOUGH = 0.8  # power below it is warned of
MAX_EFFECT = 1.0
NUM_HALVINGS = 12  # of the search for the smallest effect: to .0003


class Power(Record):
    """Of one scenario."""

    users: int
    power: float  # that the metric is promoted with all guardrails within their margins
    alone: dict[str, float]  # that each of them is shown
    smallest_effect: float | None = Field(description="at which the power is .8; none where no effect has it")


class _Draws(NamedTuple):
    metrics: tuple[Metric, ...]
    information_MD: NDArray[np.float64]
    noise_NMD: NDArray[np.float64]
    bound_MD: NDArray[np.float64]


def power(view: View, effect: float, level: float, num_users: int | None = None) -> Power:
    """Return the power of one scenario of a past log, if the primary changes by `effect` for the better.

    The plan's volume, if it is a guardrail, changes as the primary does, other guardrails not at all. `num_users` is
    how many the experiment will have (default: as many as the log).
    """
    past_users = sum(view.users(view.days).values())
    draws = _draws(view, level, (num_users or past_users) / past_users)
    promoted, alone = _shares(draws, effect, view.plan)
    names = [metric.name for metric in draws.metrics]
    return Power(
        users=num_users or past_users,
        power=promoted,
        alone=dict(zip(names, alone, strict=True)),
        smallest_effect=_smallest_effect(draws, view.plan),
    )


def _draws(view: View, level: float, share: float) -> _Draws:
    plan = view.plan
    metrics = plan.metrics
    seen = [view.metrics[plan.primary.name].difference_D]
    seen += [view.metrics[guardrail.name].within_margin_D for guardrail in plan.all_guardrails]
    information_MD = share * np.maximum.accumulate([_information(of_metric) for of_metric in seen], axis=1)
    rng = np.random.default_rng(0)
    step_MD = np.sqrt(np.diff(information_MD, axis=1, prepend=0))
    factor_MM = np.linalg.cholesky(_correlation(view.watch.log.sums, view.watch.columns, metrics))
    normal_NMD = np.einsum("lm,nmd->nld", factor_MM, rng.normal(size=(NUM_DRAWS, len(metrics), view.days)))
    return _Draws(
        metrics, information_MD, np.cumsum(step_MD * normal_NMD, axis=2), _bounds(plan, information_MD, level)
    )


def _information(difference_D: Sequence[Difference | None]) -> list[float]:
    return [one.information if one else 0.0 for one in difference_D]


def _bounds(plan: Plan, information_MD: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    bound_MD = np.full(information_MD.shape, np.inf)
    for number, metric in enumerate(plan.metrics):
        looks: list[Difference | None] = []
        for information in information_MD[number].tolist():
            looks.append(Difference(0.0, information) if information > 0 else None)
        seen = MetricLooks(metric, looks, looks)
        test = rules.within_margin(seen, plan) if isinstance(metric, Guardrail) else rules.better(seen, plan, level)
        bound_MD[number, np.array(test.days, int) - 1] = test.bounds
    return bound_MD


def _correlation(sums: Sums, columns: tuple[str, ...], metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """Return the correlation of the metrics' errors, by the delta method, of the users of both arms together."""
    num_users = sums.num_users_AD[:, -1].sum()
    mean_E = sums.total_ADE[:, -1].sum(0) / num_users
    covariance_EE = sums.product_ADEE[:, -1].sum(0) / num_users - np.outer(mean_E, mean_E)
    gradient_ME = np.zeros((len(metrics), len(columns)))
    for number, metric in enumerate(metrics):
        for event, sign in zip(metric.events, (1, -1), strict=False):
            at = columns.index(event)
            gradient_ME[number, at] = metric.sign * sign / mean_E[at]
    covariance_MM = gradient_ME @ covariance_EE @ gradient_ME.T
    error_M = np.sqrt(np.diag(covariance_MM))
    return covariance_MM / np.outer(error_M, error_M) + 1e-9 * np.eye(len(metrics))


def _shares(draws: _Draws, effect: float, plan: Plan) -> tuple[float, list[float]]:
    """Return the share of draws in which all tests are passed on one day, and for each test on some day."""
    drift_M = np.array([_drift(metric, effect, plan) for metric in draws.metrics])
    sum_NMD = draws.noise_NMD + drift_M[:, None] * draws.information_MD
    is_passed_NMD = sum_NMD >= draws.bound_MD * np.sqrt(draws.information_MD)
    is_passed_NMD &= draws.information_MD > 0
    is_promoted_N: NDArray[np.bool_] = np.any(np.all(is_passed_NMD, axis=1), axis=1)
    return float(is_promoted_N.mean()), np.any(is_passed_NMD, axis=2).mean(axis=0).tolist()


def _drift(metric: Metric, effect: float, plan: Plan) -> float:
    """Return the effect beyond the margin, in relation to the middle of both arms, positive for the better."""
    is_moved = metric.name in {plan.primary.name, plan.volume.name if plan.volume else ""}
    treatment = 1 + metric.sign * effect * is_moved
    control = 1 - metric.sign * metric.margin if isinstance(metric, Guardrail) else 1.0
    return 2 * metric.sign * (treatment - control) / (treatment + control)


def _smallest_effect(draws: _Draws, plan: Plan) -> float | None:
    low, high = 0.0, MAX_EFFECT
    if _shares(draws, high, plan)[0] < ENOUGH:
        return None
    for _ in range(NUM_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _shares(draws, middle, plan)[0] >= ENOUGH else (middle, high)
    return high
