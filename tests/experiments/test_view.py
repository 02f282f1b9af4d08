"""Views: what was seen by a day is what a view of that day has; metrics follow what the plan decides."""

import pytest

from redrec.experiments.sums import ALL_SCENARIOS, MS_PER_DAY
from redrec.experiments.view import View
from tests.experiments.worlds import planned, world

PLAN = planned(min_users=50)


@pytest.fixture(scope="module")
def log():
    return world(3, PLAN, num_users=1_500)


@pytest.mark.parametrize("day", [1, 6, 14])
def test_a_view_until_a_day_is_the_view_of_that_day(log, day):
    whole = View.of(log, PLAN, "ads", 14 * MS_PER_DAY)
    alone = View.of(log, PLAN, "ads", day * MS_PER_DAY)
    assert whole.until(day)._replace(has_ended=alone.has_ended) == alone


def test_a_shared_plan_tests_the_total_and_guards_the_ratio_of_each_scenario():
    plan = planned(applies="shared", min_users=50)
    log = world(3, plan, num_users=500)
    total, ads = (View.of(log, plan, name, 14 * MS_PER_DAY) for name in (ALL_SCENARIOS, "ads"))
    assert list(total.metrics) == ["click"]
    assert list(ads.guardrails) == ["click/impression", "click", "hide/impression"]


def test_texts_name_arms_and_numbers(log):
    view = View.of(log, PLAN, "ads", 14 * MS_PER_DAY)
    assert view.users(0) == {"control": 0, "treatment": 0}
    counts = view.users(14)
    assert view.users_text(14) == f"{counts['control']} control and {counts['treatment']} treatment users"
    assert view.change_text("click", 14).startswith("click ")
