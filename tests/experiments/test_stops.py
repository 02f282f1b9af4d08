"""Stops: the earliest decides, of one day the first rule, and what is missing is said."""

import pytest

from redrec.experiments.decisions import Result
from redrec.experiments.gate import decide_looks
from redrec.experiments.report import page
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


def test_a_plan_whose_first_day_has_no_rows_says_so():
    view = viewed(days=0)
    stop = undecided(view, better(view.primary, view.plan, 0.05), [view])
    assert (stop.verdict, "from the first day on, 2026-11-02" in stop.reason) == ("hold", True)


def test_clicks_that_one_arm_lacks_are_a_fault_of_the_log_or_harm():
    """Without any in the control the tables are wrong; without any in the treatment it may be the treatment."""
    without = [decided_without("click", arm) for arm in (0, 1)]
    assert [(one.verdict, one.rule) for one in without] == [("invalid", "faults"), ("rollback", "harm")]
    assert "control has no click" in without[0].reason
    assert [one.verdict for one in (decided_without("hide", 0), decided_without("hide", 1))] == ["rollback", "hold"]


def decided_without(event: str, arm: int):
    """Return homefeed's decision where one arm has no rows of an event; what is written can be read and drawn."""
    plan = planned(min_users=50)
    log = world(5, plan, num_users=3_000)
    at, sums = log.columns.index(event), log.scenarios["homefeed"].sums
    sums.total_ADE[arm, :, at] = sums.product_ADEE[arm, :, at] = sums.product_ADEE[arm, :, :, at] = 0
    sums.num_rows_ADR[arm, :, 1 + at] = 0
    looks = decide_looks(log, plan)
    assert Result.model_validate_json(looks[-1].model_dump_json(by_alias=True)) == looks[-1]
    assert "nan" not in page(looks, plan)
    return looks[-1].scenarios["homefeed"]
