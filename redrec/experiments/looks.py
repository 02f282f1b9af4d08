"""Looks: what each metric shows at the end of each day, as far as the data are complete.

A look is a day's end. Its statistic is compared with a boundary that keeps one level over all looks (`sequential`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from redrec.experiments.effects import Change, Difference, aggregates, change, effect
from redrec.experiments.permutation import Question, is_permuted, permuted_statistics
from redrec.experiments.plan import Guardrail, Metric, Plan
from redrec.experiments.sums import MS_PER_DAY, MS_PER_HOUR, ExperimentLog, ScenarioLog

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates

LEAST_SHARE = 0.2  # a day with fewer rows of an arm, against the median of the days until then, is not complete
MIN_ROWS = 20  # per day: the median of rarer events says nothing


def until(log: ExperimentLog, plan: Plan, through: datetime | None) -> datetime:
    """Return the time that rows are read to: `through`, or the end of the newest row's hour."""
    return through or plan.start + timedelta(hours=-(-log.newest_ms // MS_PER_HOUR))


def until_ms(log: ExperimentLog, plan: Plan, through: datetime | None) -> int:
    """Return the same since the start."""
    return round((until(log, plan, through) - plan.start).total_seconds() * 1000)


def complete_days(log: ScenarioLog, plan: Plan, through_ms: int) -> int:
    """Return after how many days both arms are complete: their rows have come in, and the watermark has passed.

    A single late row does not make the days before it complete.
    """
    past = (through_ms - plan.watermark_hours * MS_PER_HOUR) // MS_PER_DAY
    rows_ADR = np.diff(log.sums.num_rows_ADR, axis=1, prepend=0)
    for day in range(1, plan.days + 1):
        median_AR = np.median(rows_ADR[:, :day], axis=1)
        is_missing_AR = (rows_ADR[:, day - 1] < LEAST_SHARE * median_AR) & (median_AR >= MIN_ROWS)
        is_absent_A = log.sums.num_rows_ADR[:, day - 1, 0] == 0
        if day > past or is_missing_AR.any() or is_absent_A.any() or not rows_ADR[:, day - 1, 0].any():
            return day - 1
    return plan.days


class MetricLooks(NamedTuple):
    """One metric after each day: None where too little has been seen."""

    metric: Metric
    difference_D: list[Difference | None]  # from no effect
    within_margin_D: list[Difference | None]  # from what the margin allows, of a guardrail

    def until(self, days: int) -> "MetricLooks":
        return MetricLooks(self.metric, self.difference_D[:days], self.within_margin_D[:days])


class Watch(NamedTuple):
    """One scenario of a log, as a plan looks at it."""

    log: ScenarioLog
    columns: tuple[str, ...]
    plan: Plan

    def looks(self, metrics: Sequence[Metric], days: int) -> dict[str, MetricLooks]:
        """Return each metric after each day, by its name."""
        guarded = {metric.name: metric.margin for metric in metrics if isinstance(metric, Guardrail)}
        questions = [Question(metric, self.plan.covariate(metric)) for metric in metrics]
        questions += [one._replace(margin=guarded[one.metric.name]) for one in questions if one.metric.name in guarded]
        answers_DQ = [self._answers(questions, day) for day in range(1, days + 1)]
        effects_QD = list(map(list, zip(*answers_DQ, strict=True))) or [[] for _ in questions]
        differences = dict(zip((metric.name for metric in metrics), effects_QD, strict=False))
        within = dict(zip(guarded, effects_QD[len(metrics) :], strict=True))
        return {one.name: MetricLooks(one, differences[one.name], within.get(one.name, [])) for one in metrics}

    def num_rows(self, event: str, day: int) -> tuple[int, int]:
        """Return how many rows of an event control and treatment have until the end of `day`."""
        control, treatment = self.log.sums.num_rows_ADR[:, day - 1, 1 + self.plan.events.index(event)].tolist()
        return control, treatment

    def change(self, metric: Metric, day: int, level: float) -> Change:
        control, treatment = self._aggregates(day)
        return change(control, treatment, metric, level, self.plan.covariate(metric))

    def _answers(self, questions: Sequence[Question], day: int) -> list[Difference | None]:
        num_users_A = self.log.sums.num_users_AD[:, day - 1].tolist()
        if min(num_users_A) < self.plan.min_users:
            return [None] * len(questions)
        control, treatment = self._aggregates(day)
        effects = [effect(control, treatment, *question) for question in questions]
        if self.log.users is not None and is_permuted(*num_users_A):
            statistics = permuted_statistics(self.log.users.until(day), self.columns, questions)
            effects = [one and one._replace(statistic=z) for one, z in zip(effects, statistics, strict=True)]
        num_events_E = self.log.sums.total_ADE[:, day - 1].sum(0)
        num_events_Q = [num_events_E[self.columns.index(question.metric.event)] for question in questions]
        return [one if num >= self.plan.min_events else None for one, num in zip(effects, num_events_Q, strict=True)]

    def _aggregates(self, day: int) -> list["Aggregates"]:
        return [aggregates(self.log.sums, arm, day, self.columns) for arm in (0, 1)]
