"""Interleaving: how many users it needs, beside an A/B test of the same two rankers with the same power.

    python -m tests.benchmarks.interleaving --runs 400 --json

Users and clicks are those of `tests.experiments.rankers`; a ranker is better if its own error is smaller. Both tests are
read once, at a one-sided level of .025, for a power of .8. The A/B test is the gate's of clicks per impression, with both
arms' users counted. The users it takes come from one large sample; the runs then count how often that many suffice, and
the ratio of both tests' users is brought to one power by that.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from tea_tasting.aggr import Aggregates

from redrec.experiments.effects import effect
from redrec.experiments.interleaving import ALPHA, preference
from redrec.experiments.plan import Metric
from tests.benchmarks.measure import commit, say
from tests.experiments.rankers import K, Requests, click_rates, clicks_alone, clicks_on_both, requests

ERROR_PAIRS = ((1.0, 0.6), (0.6, 0.3), (0.6, 0.4))  # the rankers' own errors: control, treatment
POWER = 0.8
SAMPLE = 100_000
CLICKS = Metric(event="click", per="impression")
FOR_POWER = norm.isf(ALPHA / 2) + norm.ppf(POWER)  # standard errors of the effect


def pair(errors: tuple[float, float], num_runs: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shown = requests(rng, SAMPLE, *errors)
    control, treatment = click_rates(shown, shown.control_RK).mean(), click_rates(shown, shown.treatment_RK).mean()
    users = {"interleaving": _interleaving_users(rng, shown), "ab": _ab_users(rng, shown, treatment - control)}
    say(f"{errors}: {users} | {time.process_time():.0f} CPU s")
    tests = {"interleaving": _is_preferred, "ab": _is_better}
    powers = {name: _share(tests[name], users[name], errors, num_runs) for name in tests}
    change = float(treatment / control - 1)
    ratio = at_power(users["ab"], powers["ab"]) / at_power(users["interleaving"], powers["interleaving"])
    return {"errors": errors, "change": change, "users": users, "power": powers, "ratio": ratio}


def at_power(num_users: int, power: float) -> float:
    """Return how many users have the wanted power, if so many have `power`: the squared sum of quantiles grows with them.

    >>> round(at_power(1000, 0.8)), round(at_power(1000, 0.7))
    (1000, 1272)
    """
    return num_users * float(FOR_POWER / (norm.isf(ALPHA / 2) + norm.ppf(power))) ** 2


def _interleaving_users(rng: np.random.Generator, shown: Requests) -> int:
    credits = clicks_on_both(rng, shown)
    difference_U = credits.treatment_U - credits.control_U
    value_U = difference_U / (credits.treatment_U + credits.control_U)
    with_credit = (FOR_POWER * value_U.std() / value_U.mean()) ** 2
    return round(with_credit * credits.num_users / len(value_U))


def _ab_users(rng: np.random.Generator, shown: Requests, difference: float) -> int:
    """Return the users of both arms together."""
    arms = [_users(shown, clicks_alone(rng, shown, ranking)) for ranking in (shown.control_RK, shown.treatment_RK)]
    error_per_user = sum(_ratio_variance(clicks_U, requests_U) for clicks_U, requests_U in arms)
    return round(2 * FOR_POWER**2 * error_per_user / difference**2)


def _ratio_variance(clicks_U: NDArray[np.float64], requests_U: NDArray[np.float64]) -> float:
    rest_U = clicks_U - clicks_U.sum() / requests_U.sum() * requests_U
    return float(rest_U.var() / requests_U.mean() ** 2)


def _users(shown: Requests, clicks_R: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each user's clicks and requests."""
    return np.bincount(shown.user_R, clicks_R).astype(float), np.bincount(shown.user_R).astype(float)


def _share(
    test: Callable[[np.random.Generator, Requests], bool], num_users: int, errors: tuple[float, float], num_runs: int
) -> float:
    passed = []
    for seed in range(num_runs):
        rng = np.random.default_rng([1, seed])
        passed.append(test(rng, requests(rng, num_users, *errors)))
    return float(np.mean(passed))


def _is_preferred(rng: np.random.Generator, shown: Requests) -> bool:
    return preference(clicks_on_both(rng, shown)).verdict == "treatment preferred"


def _is_better(rng: np.random.Generator, shown: Requests) -> bool:
    is_treated_U = rng.random(int(shown.user_R[-1]) + 1) < 0.5
    ranking_RK = np.where(is_treated_U[shown.user_R, None], shown.treatment_RK, shown.control_RK)
    clicks_U, requests_U = _users(shown, clicks_alone(rng, shown, ranking_RK))
    control, treatment = (
        _aggregates(clicks_U[own_U], K * requests_U[own_U]) for own_U in (~is_treated_U, is_treated_U)
    )
    difference = effect(control, treatment, CLICKS)
    return difference is not None and difference.statistic > norm.isf(ALPHA / 2)


def _aggregates(clicks_U: NDArray[np.float64], impressions_U: NDArray[np.float64]) -> Aggregates:
    covariance = np.cov(clicks_U, impressions_U)
    return Aggregates(
        len(clicks_U),
        {"click": float(clicks_U.mean()), "impression": float(impressions_U.mean())},
        {"click": float(covariance[0, 0]), "impression": float(covariance[1, 1])},
        {("click", "impression"): float(covariance[0, 1])},
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    figures = [pair(errors, arguments.runs) for errors in ERROR_PAIRS]
    report = {"benchmark": "interleaving", "commit": commit(), **vars(arguments), "pairs": figures}
    print(json.dumps(report | {"cpu_s": time.process_time()}, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
