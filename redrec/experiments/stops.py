"""Stops: the rules that end an experiment in a scenario, and what is missing where none of them applies.

Their order is that of `redrec.experiments.gate`.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from redrec.experiments import rules
from redrec.experiments.decisions import Verdict
from redrec.experiments.sample_ratio import INVALID_ABOVE
from redrec.experiments.view import View, against


class Stop(NamedTuple):
    """Which rule decided, and after which day."""

    day: int
    verdict: Verdict
    rule: str
    reason: str


def first(stops: Sequence[Stop | None]) -> Stop | None:
    """Return the earliest; of one day the first."""
    return min(filter(None, stops), key=lambda stop: stop.day, default=None)


def is_promoted(stop: Stop | None) -> bool:
    return stop is not None and stop.verdict == "promote"


def endings(view: View) -> list[Stop | None]:
    """Return what ends the experiment in this scenario without a promotion, by rule."""
    return [_fault(view), _mismatch(view), _harm(view)]


def _fault(view: View) -> Stop | None:
    log = view.watch.log
    if log.faults:
        return Stop(0, "invalid", "faults", f"{'; '.join(log.faults)}. Correct the tables")
    if (missing := _missing_event(view)) is not None:
        return Stop(view.days, "invalid", "faults", missing)
    if view.both_arms_share > view.plan.max_both_arms_share:
        reason = f"{view.both_arms_share:.1%} of users were in both arms: assignment is not sticky"
        return Stop(view.days, "invalid", "both_arms", reason)
    return None


def _missing_event(view: View) -> str | None:
    """Return the event of the primary that the control has no row of though the treatment has many; None if none is.

    So large an effect is a fault of the log. The treatment may well lose all of an event: that is harm.
    """
    if not view.days:
        return None
    for event in view.primary.metric.events:
        num_control, num_treatment = view.watch.num_rows(event, view.days)
        if num_control == 0 and num_treatment * view.plan.control.weight >= view.plan.min_events:
            control, treatment = (arm.name for arm in view.plan.arms)
            return f"{control} has no {event}, {treatment} {num_treatment:,}. Correct the tables"
    return None


def _mismatch(view: View) -> Stop | None:
    for day in range(1, view.days + 1):
        if (evidence := view.evidence(day)) >= INVALID_ABOVE:
            planned = f"{view.plan.control.weight:g}:{view.plan.treatment.weight:g}"
            reason = f"sample ratio mismatch: {view.users_text(day)}, planned {planned}, evidence {evidence:.0e}"
            return Stop(day, "invalid", "sample_ratio", reason)
    return None


def _harm(view: View) -> Stop | None:
    for day in range(1, view.days + 1):
        for name, test in view.harm.items():
            if test.is_passed(day):
                return Stop(day, "rollback", "harm", f"{view.change_text(name, day)}, worse: {against(test, day)}")
    return None


def promotion(view: View, test: rules.SequentialTest, guarded: Sequence[View]) -> Stop | None:
    """Return the first day on which the metric is better and all guardrails of `guarded` are within their margins."""
    guardrails = list(chain.from_iterable(one.guardrails.values() for one in guarded))
    day = rules.first_day([test, *guardrails], range(1, view.days + 1))
    if day is None:
        return None
    reason = f"{view.change_text(view.primary.metric.name, day)}, better: {against(test, day)}"
    return Stop(day, "promote", "better", f"{reason}; {len(guardrails)} guardrails within their margins")


def undecided(view: View, test: rules.SequentialTest, guarded: Sequence[View]) -> Stop:
    """Return why nothing is decided yet, or at the planned end what is missing."""
    day, plan, name = view.days, view.plan, view.primary.metric.name
    if day < plan.days and view.has_ended:
        reason = f"the plan has ended, but rows of an arm are missing after day {day} of {plan.days}"
        return Stop(day, "insufficient", "missing_rows", reason)
    if day == 0:
        reason = f"no day is complete: each arm needs rows from the first day on, {plan.start:%Y-%m-%d}"
        return Stop(day, "hold", "not_ended", reason)
    if day < plan.days:
        next_day = next(one for one in plan.promotion_days if one > day)
        reason = f"day {day} of {plan.days}; a promotion may be decided after day {next_day}"
        return Stop(day, "hold", "not_ended", reason)
    if test.on(day) is None:
        needed = f"{name} needs {plan.min_users} users an arm and {plan.min_events} events that differ between users"
        return Stop(day, "insufficient", "too_little", f"{view.users_text(day)}; {needed}")
    if not test.is_passed(day):
        reason = f"{view.change_text(name, day)}, not shown to be better: {against(test, day)}"
        return Stop(day, "hold", "not_better", reason)
    for one in guarded:
        for guardrail, within in one.guardrails.items():
            if not within.is_passed(day):
                reason = f"{one.change_text(guardrail, day)} may be worse than its margin: {against(within, day)}"
                return Stop(day, "hold", "guardrail", f"{view.change_text(name, day)}, better, but {reason}")
    return Stop(day, "hold", "not_together", "metric and guardrails were never shown on the same day")
