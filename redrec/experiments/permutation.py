"""Permutation: a test for few users or uneven arms, where the normal approximation alarms too often.

Under the hypothesis a user's sums do not depend on the arm, so arms are exchanged at random between users.

Shapes: U users, P permutations, E events and covariates, Q questions, V different sums that they are of.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from redrec.experiments.plan import Metric

NUM_PERMUTATIONS = 2000
MIN_USERS = 1000  # in both arms together; below it the approximation is not trusted
EVEN_SHARES = (0.4, 0.6)  # of the users in one arm; outside it a skewed metric alarms too often
MAX_UNEVEN_USERS = 30_000  # with more users the approximation holds for uneven arms too


class UserTotals(NamedTuple):
    """Each exposed user's arm (0 or 1) and sums up to one day."""

    arm_U: NDArray[np.int64]
    total_UE: NDArray[np.float64]


def is_permuted(num_control: int, num_treatment: int) -> bool:
    """Return whether arms of these sizes are compared by permutation.

    >>> is_permuted(400, 500), is_permuted(2000, 300), is_permuted(2000, 2000)
    (True, True, False)
    """
    num_users = num_control + num_treatment
    if num_users < MIN_USERS:
        return True
    is_even = EVEN_SHARES[0] <= num_treatment / num_users <= EVEN_SHARES[1]
    return not is_even and num_users <= MAX_UNEVEN_USERS


class Question(NamedTuple):
    """Is a metric better than the control's, or than what a margin leaves of it?"""

    metric: Metric
    covariate: Metric | None = None  # of the time before the start
    margin: float = 0.0


def permuted_statistics(users: UserTotals, columns: tuple[str, ...], questions: Sequence[Question]) -> list[float]:
    """Return, per question, the normal quantile of the share of permutations with a smaller effect.

    All questions share the permutations, which are the same at every call with the same users.
    """
    value_UV, at_Q4 = _values(users, columns, questions)
    total_Q4, slope_Q = value_UV.sum(0)[at_Q4], np.array([_slope(value_UV[:, at_4]) for at_4 in at_Q4])
    seen_Q = _effect(value_UV[users.arm_U == 1].sum(0)[at_Q4], total_Q4, slope_Q)
    effect_PQ = _effect(_permuted_sums(users.arm_U, value_UV)[:, at_Q4], total_Q4, slope_Q)
    higher_Q = (1 + np.sum(effect_PQ >= seen_Q, axis=0)) / (1 + NUM_PERMUTATIONS)
    lower_Q = (1 + np.sum(effect_PQ <= seen_Q, axis=0)) / (1 + NUM_PERMUTATIONS)
    statistic_Q = np.where(higher_Q < lower_Q, norm.isf(higher_Q), -norm.isf(lower_Q))
    return [question.metric.sign * float(value) for question, value in zip(questions, statistic_Q, strict=True)]


def _values(
    users: UserTotals, columns: tuple[str, ...], questions: Sequence[Question]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the users' sums, each once, and of which four a question is: its metric's two, and those before."""
    numbers: dict[tuple[str | None, float], int] = {}
    at_Q4 = np.zeros((len(questions), 4), np.int64)
    for at_4, question in zip(at_Q4, questions, strict=True):
        at_4[:] = [numbers.setdefault(key, len(numbers)) for key in _keys(question)]
    return np.stack([_column(users, columns, *key) for key in numbers], axis=1), at_Q4


def _keys(question: Question) -> list[tuple[str | None, float]]:
    """Return name and the control's factor of each sum, as the hypothesis expects it; users have no name."""
    metric, before = question.metric, question.covariate
    expected: list[tuple[str | None, float]] = [(metric.event, 1 - metric.sign * question.margin), (metric.per, 1.0)]
    return [*expected, (before.event if before else None, 1.0), (before.per if before else None, 1.0)]


def _column(users: UserTotals, columns: tuple[str, ...], name: str | None, factor: float) -> NDArray[np.float64]:
    if name is None:
        return np.ones(len(users.arm_U))
    return np.where(users.arm_U == 0, factor, 1.0) * users.total_UE[:, columns.index(name)]


def _slope(value_U4: NDArray[np.float64]) -> float:
    """Return how much of the metric a unit of its covariate explains, of the users of both arms together."""
    mean_4 = value_U4.mean(0)
    if not mean_4[1] or not mean_4[3]:
        return 0.0
    of_metric_U, of_covariate_U = (
        (value_U4[:, at] - mean_4[at] / mean_4[at + 1] * value_U4[:, at + 1]) / mean_4[at + 1] for at in (0, 2)
    )
    variance = of_covariate_U @ of_covariate_U
    return float(of_metric_U @ of_covariate_U / variance) if variance else 0.0


def _permuted_sums(arm_U: NDArray[np.int64], value_UV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the treatment's sums, `sum_PV`; only the users of the smaller arm are drawn."""
    rng, num_users = np.random.default_rng(0), len(arm_U)
    num_treated = int(arm_U.sum())
    num_drawn = min(num_treated, num_users - num_treated)
    one_N = np.ones(num_drawn)
    sum_PV = np.empty((NUM_PERMUTATIONS, value_UV.shape[1]))
    for number in range(NUM_PERMUTATIONS):
        drawn = rng.choice(num_users, num_drawn, replace=False, shuffle=False)
        sum_PV[number] = one_N @ value_UV.take(drawn, axis=0)  # several times as fast as a sum over rows
    return sum_PV if num_drawn == num_treated else value_UV.sum(0) - sum_PV


def _effect(
    treatment_PQ4: NDArray[np.float64], total_Q4: NDArray[np.float64], slope_Q: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the treatment's ratio minus the control's, less what the covariate explains."""
    control_PQ4 = total_Q4 - treatment_PQ4
    with np.errstate(divide="ignore", invalid="ignore"):
        of_metric_PQ, of_covariate_PQ = (
            treatment_PQ4[..., at] / treatment_PQ4[..., at + 1] - control_PQ4[..., at] / control_PQ4[..., at + 1]
            for at in (0, 2)
        )
    return np.nan_to_num(of_metric_PQ) - slope_Q * np.nan_to_num(of_covariate_PQ)
