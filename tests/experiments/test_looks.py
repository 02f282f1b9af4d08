"""Looks: after how many days a log is complete, and what each metric shows by then."""

import numpy as np
import pytest

from redrec.experiments.effects import aggregates, effect
from redrec.experiments.looks import Watch, complete_days
from redrec.experiments.sums import MS_PER_DAY, MS_PER_HOUR, ScenarioLog
from tests.experiments.worlds import EVENTS, planned, world

PLAN = planned()


@pytest.fixture(scope="module")
def log() -> ScenarioLog:
    return world(1, PLAN, num_users=2000).scenarios["homefeed"]


def with_rows(log: ScenarioLog, arm: int, day: int, share: float) -> ScenarioLog:
    """Return the log with only a share of one arm's rows of a day."""
    rows_ADR = np.diff(log.sums.num_rows_ADR, axis=1, prepend=0)
    rows_ADR[arm, day - 1] = (share * rows_ADR[arm, day - 1]).astype(int)
    return log._replace(sums=log.sums._replace(num_rows_ADR=np.cumsum(rows_ADR, axis=1)))


def test_days_are_complete_until_the_time_less_the_watermark(log):
    assert complete_days(log, PLAN, 14 * MS_PER_DAY) == 14
    assert complete_days(log, PLAN, 9 * MS_PER_DAY + 1) == 9
    assert complete_days(log, PLAN.model_copy(update={"watermark_hours": 6}), 9 * MS_PER_DAY + MS_PER_HOUR) == 8


def test_a_day_that_lacks_an_arms_rows_and_all_after_it_are_not_complete(log):
    assert complete_days(with_rows(log, 1, 6, share=0.1), PLAN, 14 * MS_PER_DAY) == 5
    assert complete_days(with_rows(log, 1, 6, share=0.5), PLAN, 14 * MS_PER_DAY) == 14
    assert complete_days(with_rows(log, 0, 1, share=0.0), PLAN, 14 * MS_PER_DAY) == 0


def test_a_metric_has_a_difference_of_each_day_with_enough_users_and_events(log):
    watch = Watch(log, EVENTS, PLAN)
    looks = watch.looks(PLAN.metrics, 14)
    assert list(looks) == ["click/impression", "click", "hide/impression"]
    assert looks["click/impression"].within_margin_D == []
    control, treatment = (aggregates(log.sums, arm, 14, EVENTS) for arm in (0, 1))
    assert looks["click"].difference_D[13].information == effect(control, treatment, PLAN.volume).information
    assert looks["click"].within_margin_D[13].statistic > looks["click"].difference_D[13].statistic
    strict = Watch(log, EVENTS, PLAN.model_copy(update={"min_users": 5000}))
    assert strict.looks(PLAN.metrics, 3)["click"].difference_D == [None, None, None]
    rare = Watch(log, EVENTS, PLAN.model_copy(update={"min_events": 10**9}))
    assert rare.looks(PLAN.metrics, 3)["click"].difference_D == [None, None, None]


def test_no_day_has_no_looks(log):
    assert Watch(log, EVENTS, PLAN).looks(PLAN.metrics, 0)["click"].difference_D == []
