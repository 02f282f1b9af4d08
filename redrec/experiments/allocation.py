"""Allocation: what each request gets while an experiment runs, and after each scenario's decision.

It is one object, which a server reads from one file: the plan, the arm that a decided scenario serves to all its users,
and the newest decisions. The gate's results change it; otherwise only the coverage of its plan may change, and the
scenarios whose users get interleaved lists before the experiment starts.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from redrec.config import Config, InputError
from redrec.experiments.assignment import arm_of
from redrec.experiments.decisions import Decision, Result
from redrec.experiments.plan import Arm, Plan


class Allotted(NamedTuple):
    arm: Arm
    is_exposure: bool  # whether the user is one of the experiment's
    is_interleaved: bool = False  # whether the user gets a list of both arms


class Allocation(Config):
    plan: Plan
    serves: dict[str, str] = Field(default_factory=dict)  # scenario -> arm of all its users, at the end
    decisions: dict[str, Decision] = Field(default_factory=dict)  # scenario -> the newest
    interleaves: tuple[str, ...] = ()  # scenarios whose users get lists of both arms until the plan's start

    @model_validator(mode="after")
    def _is_of_the_plan(self) -> Self:
        arms = [arm.name for arm in self.plan.arms]
        if unknown := sorted({*self.serves, *self.decisions, *self.interleaves} - set(self.plan.scenarios)):
            raise ValueError(f"the plan has no scenario {', '.join(unknown)}; it has {', '.join(self.plan.scenarios)}")
        if unknown := sorted(set(self.serves.values()) - set(arms)):
            raise ValueError(f"the plan has no arm {', '.join(unknown)}; it has {' and '.join(arms)}")
        return self

    @cached_property
    def plan_hash(self) -> str:
        return self.plan.hash()


def allotted(allocation: Allocation, scenario: str, user_id: str, moment: datetime) -> Allotted:
    """Return the arm of a request, and whether it is an exposure: only an assigned user of a running experiment is.

    Before its start such a user may get an interleaved list, which is of no arm; the control is what replaces it.
    """
    plan = allocation.plan
    if scenario in allocation.serves:
        by_name = {arm.name: arm for arm in plan.arms}
        return Allotted(by_name[allocation.serves[scenario]], False)
    is_early = moment < plan.start
    if scenario not in (allocation.interleaves if is_early else plan.scenarios):
        return Allotted(plan.control, False)
    assigned = arm_of(plan, scenario, user_id)
    if assigned is None or is_early:
        return Allotted(plan.control, False, is_interleaved=assigned is not None)
    return Allotted(assigned, True)


def checked_change(old: Allocation, new: Allocation) -> Allocation:
    """Return the new allocation if it may follow the old one.

    Raises:
        InputError: The plan of a running experiment differs in more than its coverage.
    """
    if new.plan.experiment == old.plan.experiment and new.plan_hash != old.plan_hash:
        raise InputError(
            f"Experiment {old.plan.experiment} runs with plan {old.plan_hash}; the new allocation has plan "
            f"{new.plan_hash}. Of a running experiment only the coverage may change: put the other fields back, "
            "such as the arms' weights, or give the experiment another name."
        )
    return new


def decided_by(allocation: Allocation, result: Result) -> Allocation:
    """Return the allocation after a result of the gate; one that has been applied before changes nothing.

    Promote serves the treatment to all users of the scenario. Rollback, invalid and an end without a promotion serve
    the control. Before the end a hold leaves the users split. What a scenario serves to all never changes again.

    Raises:
        InputError: The result is of another plan.
    """
    plan = allocation.plan
    if result.plan_hash != allocation.plan_hash or not set(result.scenarios) <= set(plan.scenarios):
        raise InputError(
            f"The result is of experiment {result.experiment}, plan {result.plan_hash}; the allocation is of "
            f"experiment {plan.experiment}, plan {allocation.plan_hash}. Give the result of this plan."
        )
    serves, decisions = dict(allocation.serves), dict(allocation.decisions)
    for scenario, decision in result.scenarios.items():
        if scenario in serves or _is_earlier(decision, decisions.get(scenario)):
            continue
        decisions[scenario] = decision
        if (arm := _served_to_all(decision, plan)) is not None:
            serves[scenario] = arm.name
    return Allocation(plan=plan, serves=serves, decisions=decisions, interleaves=allocation.interleaves)


def _served_to_all(decision: Decision, plan: Plan) -> Arm | None:
    if decision.verdict == "promote":
        return plan.treatment
    is_running = decision.verdict == "hold" and decision.look < plan.days
    return None if is_running else plan.control


def _is_earlier(decision: Decision, newest: Decision | None) -> bool:
    """Say whether a hold is of an earlier day than what is known: gates may end in another order than they began."""
    return decision.verdict == "hold" and newest is not None and decision.look < newest.look


def difference(old: Allocation, new: Allocation) -> list[str]:
    """Return what changes, one sentence each."""
    return list(_differences(old, new))


def _differences(old: Allocation, new: Allocation) -> Iterator[str]:
    if new.plan_hash != old.plan_hash:
        names = f"experiment {old.plan.experiment}, now {new.plan.experiment}"
        yield f"{names}: plan {old.plan_hash}, now {new.plan_hash}"
    if new.plan.coverage != old.plan.coverage:
        yield f"coverage {old.plan.coverage:g}, now {new.plan.coverage:g}"
    for scenario in dict.fromkeys([*old.plan.scenarios, *new.plan.scenarios]):
        before, after = _state(old, scenario), _state(new, scenario)
        if after != before:
            yield f"{scenario}: {before}, now {after}"
        decision = new.decisions.get(scenario)
        if decision is not None and decision != old.decisions.get(scenario):
            yield f"{scenario}: newest decision {decision.verdict} after day {decision.look} ({decision.reason})"


def _state(allocation: Allocation, scenario: str) -> str:
    """Return what a scenario's users get, in words."""
    if scenario in allocation.serves:
        return f"all users get {allocation.serves[scenario]}"
    if scenario not in allocation.plan.scenarios:
        return "not in the experiment"
    before = "see both arms' items until the start, then " if scenario in allocation.interleaves else ""
    return f"users {before}are split"
