"""Allocation: what a request gets, which changes are refused, and what a result of the gate changes."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from redrec.config import InputError
from redrec.experiments.allocation import Allocation, allotted, checked_change, decided_by, difference
from redrec.experiments.assignment import arm_of
from redrec.experiments.decisions import Decision, Result
from redrec.experiments.gate import decide
from redrec.experiments.plan import Arm, Namespace
from tests.experiments.logs import SCENARIOS, START, planned, simulated, written

USERS = [f"u{number}" for number in range(500)]
RUNNING = START + timedelta(days=1)


def decision(verdict: str, look: int = 3) -> Decision:
    return Decision(verdict=verdict, rule="any", reason="as planted", look=look, users={"control": 1, "treatment": 1})


def result(decisions: dict[str, Decision], **changes) -> Result:
    fields = {"experiment": "towers-2", "plan_hash": planned().hash(), "input_digest": "0", "through": RUNNING}
    return Result(**{**fields, "look": 3, "verdict": "hold", "scenarios": decisions, **changes})


def names(allocation: Allocation, scenario: str, moment: datetime = RUNNING) -> list[tuple[str, bool]]:
    given = [allotted(allocation, scenario, user, moment) for user in USERS]
    return [(one.arm.name, one.is_exposure) for one in given]


def test_a_user_of_a_running_experiment_gets_the_assigned_arm_and_is_exposed():
    plan = planned()
    assigned = [(arm_of(plan, "ads", user).name, True) for user in USERS]
    assert names(Allocation(plan=plan), "ads") == assigned
    assert {arm for arm, _ in assigned} == {"control", "treatment"}


def test_who_is_not_in_the_experiment_gets_the_control_and_is_not_exposed():
    control = [("control", False)] * len(USERS)
    assert names(Allocation(plan=planned()), "radio") == control
    assert names(Allocation(plan=planned()), "ads", START - timedelta(milliseconds=1)) == control
    assert names(Allocation(plan=planned(coverage=0)), "ads") == control
    for plan in (planned(coverage=0.3), planned(namespace=Namespace(name="towers", low=0, high=0.4))):
        given = names(Allocation(plan=plan), "ads")
        outside = [arm_of(plan, "ads", user) is None for user in USERS]
        assert 0 < sum(outside) < len(USERS)
        assert [one == ("control", False) for one in given] == outside


def test_a_decided_scenario_serves_one_arm_to_all_and_exposes_nobody():
    allocation = Allocation(plan=planned(coverage=0), serves={"ads": "treatment"})
    assert names(allocation, "ads") == [("treatment", False)] * len(USERS)


def test_until_the_start_users_of_the_experiment_see_lists_of_both_arms_and_then_are_split():
    allocation, before = Allocation(plan=planned(coverage=0.5), interleaves=("ads",)), START - timedelta(days=1)
    early = [allotted(allocation, "ads", user, before) for user in USERS]
    assert {(one.arm.name, one.is_exposure) for one in early} == {("control", False)}
    is_inside = [arm_of(allocation.plan, "ads", user) is not None for user in USERS]
    assert [one.is_interleaved for one in early] == is_inside and 0 < sum(is_inside) < len(USERS)
    assert not any(allotted(allocation, "search", user, before).is_interleaved for user in USERS)
    late = [allotted(allocation, "ads", user, START) for user in USERS]
    assert [one.is_exposure for one in late] == is_inside and not any(one.is_interleaved for one in late)
    served = allocation.model_copy(update={"serves": {"ads": "treatment"}})
    assert not any(allotted(served, "ads", user, before).is_interleaved for user in USERS)


def test_which_scenarios_are_interleaved_may_change_and_a_decision_leaves_it():
    old = Allocation(plan=planned())
    new = checked_change(old, Allocation(plan=planned(), interleaves=("ads",)))
    assert difference(old, new) == [
        "ads: users are split, now users see both arms' items until the start, then are split"
    ]
    assert decided_by(new, result({"search": decision("hold")})).interleaves == ("ads",)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"serves": {"radio": "control"}}, "no scenario radio; it has homefeed, search, ads"),
        ({"serves": {"ads": "new"}}, "no arm new; it has control and treatment"),
        ({"decisions": {"radio": decision("hold")}}, "no scenario radio"),
        ({"interleaves": ("radio",)}, "no scenario radio"),
        ({"served": {}}, "Extra inputs"),
    ],
)
def test_what_the_plan_does_not_name_is_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        Allocation(plan=planned(), **fields)


def test_coverage_may_change_while_an_experiment_runs_and_weights_may_not():
    old = Allocation(plan=planned(coverage=0.1))
    new = Allocation(plan=planned(coverage=0.2), serves={"ads": "control"})
    assert checked_change(old, new) is new
    other = planned(control=Arm(name="control", weight=0.8), treatment=Arm(name="treatment", weight=0.2))
    with pytest.raises(InputError, match=f"{old.plan_hash}.*{other.hash()}.*only the coverage may change"):
        checked_change(old, Allocation(plan=other))
    renamed = Allocation(plan=other.model_copy(update={"experiment": "towers-3"}))
    assert checked_change(old, renamed) is renamed


@pytest.mark.parametrize(
    ("verdict", "look", "serves"),
    [
        ("promote", 7, {"ads": "treatment"}),
        ("rollback", 2, {"ads": "control"}),
        ("invalid", 0, {"ads": "control"}),
        ("hold", 7, {"ads": "control"}),
        ("insufficient", 7, {"ads": "control"}),
        ("insufficient", 5, {"ads": "control"}),  # the plan has ended, and rows are missing after day 5
        ("hold", 6, {}),
    ],
)
def test_a_verdict_decides_what_all_users_of_the_scenario_get(verdict, look, serves):
    changed = decided_by(Allocation(plan=planned()), result({"ads": decision(verdict, look)}))
    assert changed.serves == serves
    assert changed.decisions == {"ads": decision(verdict, look)}


def test_what_is_decided_never_changes_again_and_a_result_counts_once():
    first = result({"ads": decision("promote", 7), "search": decision("hold", 5)})
    once = decided_by(Allocation(plan=planned()), first)
    assert decided_by(once, first) == once
    later = result({"ads": decision("rollback", 6), "search": decision("hold", 4), "homefeed": decision("hold", 6)})
    again = decided_by(once, later)
    assert again.serves == {"ads": "treatment"}
    assert again.decisions == {**once.decisions, "homefeed": decision("hold", 6)}
    harm = result({"search": decision("rollback", 2)})  # late rows show it on an earlier day
    assert decided_by(once, harm).serves == {"ads": "treatment", "search": "control"}


@pytest.mark.parametrize("changes", [{"plan_hash": "0" * 16}, {"scenarios": {"radio": decision("promote")}}])
def test_a_result_of_another_plan_is_refused(changes):
    with pytest.raises(InputError, match="Give the result of this plan"):
        decided_by(Allocation(plan=planned()), result({}, **changes))


def test_the_gates_own_result_is_applied(tmp_path):
    """A planted harm in ads, and nothing elsewhere: before the end only ads is decided."""
    plan = planned()
    files = written(simulated(1, plan, effects={"ads": -0.5}), tmp_path)
    decided = decide(*files, plan, START + timedelta(days=5))
    changed = decided_by(Allocation(plan=plan), decided)
    assert changed.serves == {"ads": "control"}
    assert set(changed.decisions) == set(SCENARIOS)
    assert Allocation.model_validate_json(changed.model_dump_json()) == changed


def test_a_difference_is_said_in_words():
    old = Allocation(plan=planned())
    new = decided_by(Allocation(plan=planned(coverage=0.5)), result({"ads": decision("rollback", 2)}))
    assert difference(old, old) == []
    assert difference(old, new) == [
        "coverage 1, now 0.5",
        "ads: users are split, now all users get control",
        "ads: newest decision rollback after day 2 (as planted)",
    ]
    other = Allocation(plan=planned(experiment="towers-3", scenarios=("ads",), start=datetime(2027, 1, 1, tzinfo=UTC)))
    assert difference(old, other) == [
        f"experiment towers-2, now towers-3: plan {old.plan_hash}, now {other.plan_hash}",
        "homefeed: users are split, now not in the experiment",
        "search: users are split, now not in the experiment",
    ]
