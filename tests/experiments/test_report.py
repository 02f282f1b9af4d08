"""Reports: a page shows each look until the decision, and all scenarios together where the arm is shared."""

from redrec.experiments.gate import decide_looks
from redrec.experiments.report import page
from tests.experiments.worlds import Planted, planned, world


def test_a_scenario_is_drawn_to_the_day_that_decided():
    plan = planned()
    looks = decide_looks(world(1, plan, planted={"ads": Planted(click=-0.5)}), plan)
    day = looks[-1].scenarios["ads"].look
    assert looks[-1].scenarios["ads"].verdict == "rollback"
    drawn = page(looks, plan).split("<h2>")[3]
    assert f"change, day {day}:" in drawn
    assert f"change, day {day + 1}:" not in drawn


def test_a_shared_plan_has_the_total_first():
    plan = planned(applies="shared")
    looks = decide_looks(world(1, plan, num_users=1_000), plan)
    sections = page(looks, plan).split("<h2>")[1:]
    assert [section.split(" <")[0] for section in sections] == ["all scenarios together", *plan.scenarios]
    assert looks[-1].total.metrics.keys() == {"click"}
