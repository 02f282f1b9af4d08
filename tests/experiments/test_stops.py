"""Stops: the earliest decides, of one day the first rule, and what is missing is said."""

import pytest

from redrec.experiments.rules import better
from redrec.experiments.stops import Stop, endings, first, is_promoted, promotion, undecided
from redrec.experiments.sums import MS_PER_DAY
from redrec.experiments.view import View
from tests.experiments.worlds import Planted, planned, world


def viewed(planted=None, num_users=3_000, days=14, **changes) -> View:
    plan = planned(volume_margin=0.3, **changes)
    log = world(5, plan, num_users=num_users, planted={"homefeed": planted or Planted()})
    return View.of(log, plan, "homefeed", days * MS_PER_DAY)


def test_the_earliest_stop_decides_and_of_one_day_the_first():
    invalid, rollback = Stop(3, "invalid", "sample_ratio", ""), Stop(3, "rollback", "harm", "")
    assert first([None, invalid, rollback]) == invalid
    assert first([invalid, rollback._replace(day=2)]).rule == "harm"
    assert first([None]) is None
    assert not is_promoted(None)


def test_harm_ends_a_scenario_and_nothing_ends_one_without():
    stops = [stop for stop in endings(viewed(Planted(click=-0.5))) if stop]
    assert [(stop.verdict, stop.rule) for stop in stops] == [("rollback", "harm")]
    assert stops[0].day < 14
    assert [stop for stop in endings(viewed()) if stop] == []


@pytest.mark.parametrize(
    ("planted", "changes", "rule"),
    [
        (Planted(), {"days": 5}, "not_ended"),
        (Planted(), {}, "not_better"),
        (Planted(), {"num_users": 60}, "too_little"),
        (Planted(click=0.5, volume=-0.15), {}, "guardrail"),
    ],
)
def test_what_is_missing_is_said(planted, changes, rule):
    view = viewed(planted, **changes)
    test = better(view.primary, view.plan, 0.05)
    assert promotion(view, test, [view]) is None
    assert undecided(view, test, [view]).rule == rule
