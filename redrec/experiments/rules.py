"""Rules: on which day a metric stops an experiment, and at which boundary.

Promotion: the metric is better by O'Brien-Fleming spending on the plan's looks, and every guardrail is within its
margin by the same spending at the plan's level; all have to hold at once, so that level is not divided among them.
Harm: any metric is worse by Pocock spending on every day, with the scenario's level divided among its metrics.
"""

from collections.abc import Sequence
from typing import NamedTuple

from redrec.experiments.effects import Difference
from redrec.experiments.looks import MetricLooks
from redrec.experiments.plan import Plan
from redrec.experiments.sequential import Look, Spending, boundaries, obrien_fleming, pocock


class SequentialTest(NamedTuple):
    """One metric's statistic and boundary at its looks."""

    days: list[int]
    looks: list[Look]
    statistics: list[float]
    bounds: list[float]

    def on(self, day: int) -> tuple[float, float] | None:
        """Return statistic and boundary of a day; None if the metric is not looked at then."""
        if day not in self.days:
            return None
        at = self.days.index(day)
        return self.statistics[at], self.bounds[at]

    def is_passed(self, day: int) -> bool:
        seen = self.on(day)
        return seen is not None and seen[0] >= seen[1]


def _test(
    effect_D: Sequence[Difference | None],
    days: Sequence[int],
    plan: Plan,
    level: float,
    spending: Spending,
    *,
    sign: int = 1,
    last_level: float | None = None,
) -> SequentialTest:
    seen = [(day, effect_D[day - 1]) for day in days if day <= len(effect_D)]
    kept = [(day, one) for day, one in seen if one is not None]
    looks = [Look(day / plan.days, one.information) for day, one in kept]
    statistics = [sign * one.statistic for _, one in kept]
    return SequentialTest([day for day, _ in kept], looks, statistics, boundaries(level, spending, looks, last_level))


def better(looks: MetricLooks, plan: Plan, level: float, last_level: float | None = None) -> SequentialTest:
    """Return the test that the metric is better."""
    return _test(looks.difference_D, plan.promotion_days, plan, level, obrien_fleming, last_level=last_level)


def within_margin(looks: MetricLooks, plan: Plan) -> SequentialTest:
    """Return the test that a guardrail is not worse than its margin allows."""
    return _test(looks.within_margin_D, plan.promotion_days, plan, plan.alpha, obrien_fleming)


def worse(looks: MetricLooks, plan: Plan, num_metrics: int) -> SequentialTest:
    """Return the test that the metric is worse."""
    level = plan.harm_alpha / num_metrics
    return _test(looks.difference_D, range(1, plan.days + 1), plan, level, pocock, sign=-1)


def first_day(tests: Sequence[SequentialTest], days: Sequence[int]) -> int | None:
    """Return the first day on which all tests are passed."""
    for day in days:
        if all(test.is_passed(day) for test in tests):
            return day
    return None
