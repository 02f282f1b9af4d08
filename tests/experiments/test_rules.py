"""Rules: on which days a metric is tested, by which level, and when all tests are passed."""

import numpy as np
import pytest

from redrec.experiments.effects import Difference
from redrec.experiments.looks import MetricLooks
from redrec.experiments.plan import Metric
from redrec.experiments.rules import SequentialTest, better, first_day, within_margin, worse
from redrec.experiments.sequential import Look
from tests.experiments.worlds import planned

PLAN = planned()
DAYS = range(1, 15)


def looks(statistic: float) -> MetricLooks:
    differences = [Difference(statistic, float(day)) for day in DAYS]
    return MetricLooks(Metric(event="click"), differences, differences)


def test_a_promotion_is_tested_on_the_plans_days_and_harm_on_all():
    assert better(looks(0.0), PLAN, 0.05).days == [7, 14]
    assert within_margin(looks(0.0), PLAN).days == [7, 14]
    assert worse(looks(0.0), PLAN, 3).days == list(DAYS)


def test_harm_is_the_other_sign_at_a_level_that_the_metrics_share():
    alone, of_three = worse(looks(-2.9), PLAN, 1), worse(looks(-2.9), PLAN, 3)
    assert alone.statistics[0] == 2.9
    assert alone.is_passed(14) and not of_three.is_passed(1)
    assert all(one < other for one, other in zip(alone.bounds, of_three.bounds, strict=True))


def test_early_promotions_need_more_than_late_ones():
    test = better(looks(2.0), PLAN, 0.05)
    assert (test.is_passed(7), test.is_passed(14)) == (False, True)
    assert test.on(8) is None and not test.is_passed(8)


def test_a_day_without_enough_data_is_no_look():
    gap = looks(5.0)
    gap.difference_D[6] = None
    assert better(gap, PLAN, 0.05).days == [14]


def test_all_tests_have_to_be_passed_on_the_same_day():
    def test(*passed: int) -> SequentialTest:
        statistics = [1.0 if day in passed else 0.0 for day in DAYS]
        return SequentialTest(list(DAYS), [Look(day / 14, float(day)) for day in DAYS], statistics, [0.5] * 14)

    assert first_day([test(3, 7), test(5, 7)], DAYS) == 7
    assert first_day([test(3), test(5)], DAYS) is None


@pytest.mark.parametrize("level", [0.01, 0.05])
def test_the_last_bound_is_close_to_that_of_one_look(level):
    from scipy.stats import norm

    assert better(looks(0.0), PLAN, level).bounds[-1] == pytest.approx(norm.isf(level), abs=0.06)
    assert np.isfinite(better(looks(0.0), PLAN, level).bounds).all()
