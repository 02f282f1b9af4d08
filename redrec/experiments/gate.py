"""Gate: an experiment's log and its plan in, one decision per scenario out, on any day.

Each day's end is a look. The first rule that applies decides, and its decision stands from then on:

1. the tables are faulty, or too many users were in both arms: invalid
2. the arms are not as large as planned, by a test that may be read after every user: invalid
3. a metric or a guardrail is worse: rollback
4. on a day that the plan names, the metric is better and every guardrail is within its margin: promote
5. otherwise hold; at the planned end insufficient, if too little was seen

Without a shared arm each scenario is promoted on its own at `alpha / number of scenarios` (Bonferroni), and at the
planned end at what the promoted ones leave (Holm). With a shared arm one verdict is for all: the total over the
scenarios has to be better, and no scenario worse than the margins allow.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from scipy.stats import norm

from redrec.data.tables import Engine, connect
from redrec.experiments import rules
from redrec.experiments.decisions import Decision, MetricNumbers, Result, Verdict, joint_verdict
from redrec.experiments.logs import read_log
from redrec.experiments.looks import MetricLooks, Watch, complete_days
from redrec.experiments.plan import HASH_DIGITS, Guardrail, Metric, Plan
from redrec.experiments.sample_ratio import INVALID_ABOVE, sample_ratio_evidence
from redrec.experiments.sequential import median_unbiased
from redrec.experiments.sums import ALL_SCENARIOS, MS_PER_DAY, MS_PER_HOUR, ExperimentLog


class Stop(NamedTuple):
    """Which rule decided, and after which day."""

    day: int
    verdict: Verdict
    rule: str
    reason: str


def decide(
    exposures: Path, outcomes: Path, plan: Plan, through: datetime | None = None, engine: Engine = "duckdb"
) -> Result:
    """Decide every scenario of the plan from what is complete `through` a time (default: the newest row's hour).

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column.
    """
    with TemporaryDirectory() as scratch:
        log = read_log(connect(engine, Path(scratch)), exposures, outcomes, plan, Path(scratch))
    return decide_log(log, plan, through)


def decide_log(log: ExperimentLog, plan: Plan, through: datetime | None = None) -> Result:
    """Decide every scenario from the sums of a log."""
    through_ms = -(-log.newest_ms // MS_PER_HOUR) * MS_PER_HOUR
    if through is not None:
        through_ms = round((through - plan.start).total_seconds() * 1000)
    views = {name: _View.of(log, plan, name, through_ms) for name in log.scenarios}
    decisions = _shared(views, plan) if plan.applies == "shared" else _per_scenario(views, plan)
    look = max(decision.look for decision in decisions.values())
    return Result(
        experiment=plan.experiment,
        plan_hash=plan.hash(),
        input_digest=_digest(log),
        through=plan.start + timedelta(days=look),
        look=look,
        verdict=joint_verdict(decisions),
        scenarios=decisions,
    )


class _View(NamedTuple):
    """One scenario after its complete days: its metrics' looks and the tests of harm."""

    name: str
    watch: Watch
    days: int
    has_ended: bool
    metrics: dict[str, MetricLooks]
    guardrails: dict[str, rules.SequentialTest]
    harm: dict[str, rules.SequentialTest]

    @classmethod
    def of(cls, log: ExperimentLog, plan: Plan, name: str, through_ms: int) -> "_View":
        watch = Watch(log.scenarios[name], log.events, plan)
        days = complete_days(watch.log, plan, through_ms)
        metrics = watch.looks(_metrics(plan, name), days)
        guarded = [looks for looks in metrics.values() if looks.within_margin_D]
        guardrails = {looks.metric.name: rules.within_margin(looks, plan) for looks in guarded}
        harm = {metric: rules.worse(looks, plan, len(metrics)) for metric, looks in metrics.items()}
        return cls(name, watch, days, through_ms >= plan.days * MS_PER_DAY, metrics, guardrails, harm)

    @property
    def plan(self) -> Plan:
        return self.watch.plan

    @property
    def primary(self) -> MetricLooks:
        return next(iter(self.metrics.values()))

    def users(self, day: int) -> dict[str, int]:
        counts = self.watch.log.sums.num_users_AD[:, day - 1].tolist() if day else [0, 0]
        return dict(zip((arm.name for arm in self.plan.arms), counts, strict=True))

    def evidence(self, day: int) -> float:
        """Return the evidence of a sample ratio mismatch."""
        num_control, num_treatment = self.watch.log.sums.num_users_AD[:, day - 1].tolist()
        return sample_ratio_evidence(num_control, num_treatment, self.plan.treatment.weight)


def _metrics(plan: Plan, scenario: str) -> tuple[Metric, ...]:
    """Return what is tested in a scenario; of all together the total of the primary's event."""
    if scenario == ALL_SCENARIOS:
        return (Metric(event=plan.primary.event, direction=plan.primary.direction),)
    if plan.applies == "per_scenario":
        return plan.metrics
    primary = Guardrail(**plan.primary.model_dump(), margin=plan.volume_margin)
    return (primary, *plan.all_guardrails)


def _per_scenario(views: dict[str, _View], plan: Plan) -> dict[str, Decision]:
    level = plan.alpha / len(views)
    tests = {name: rules.better(view.metrics[plan.primary.name], plan, level) for name, view in views.items()}
    stops = {name: _first([*_stops(view), _promotion(view, tests[name], [view])]) for name, view in views.items()}
    num_promoted = -1
    while num_promoted < sum(_is_promoted(stop) for stop in stops.values()):
        num_promoted = sum(_is_promoted(stop) for stop in stops.values())
        for name, view in views.items():
            if stops[name] is None and view.days == plan.days:
                last_level = plan.alpha / (len(views) - num_promoted)
                tests[name] = rules.better(view.metrics[plan.primary.name], plan, level, last_level)
                stops[name] = _promotion(view, tests[name], [view])
    decisions = {}
    for name, view in views.items():
        stop = stops[name] or _open(view, tests[name], [view])
        decisions[name] = _decision(view, stop, {plan.primary.name: tests[name]})
    return decisions


def _is_promoted(stop: Stop | None) -> bool:
    return stop is not None and stop.verdict == "promote"


def _shared(views: dict[str, _View], plan: Plan) -> dict[str, Decision]:
    """Return the same verdict for all scenarios: what ends one ends all."""
    days = min(view.days for view in views.values())
    whole = views[ALL_SCENARIOS]._replace(days=days)
    single = [view._replace(days=days) for view in views.values() if view.name != ALL_SCENARIOS]
    test = rules.better(whole.primary, plan, plan.alpha)
    stops = chain.from_iterable(_stops(view) for view in (whole, *single))
    stop = _first([*stops, _promotion(whole, test, single)]) or _open(whole, test, single)
    return {view.name: _decision(view, stop, {}) for view in single}


def _stops(view: _View) -> list[Stop | None]:
    """Return what ends the experiment in this scenario, by rule."""
    return [_fault(view), _mismatch(view), _harm(view)]


def _first(stops: Sequence[Stop | None]) -> Stop | None:
    """Return the earliest; of one day the first."""
    return min(filter(None, stops), key=lambda stop: stop.day, default=None)


def _fault(view: _View) -> Stop | None:
    log, plan = view.watch.log, view.plan
    share = log.num_in_both_arms / log.num_users if log.num_users else 0.0
    if log.faults:
        return Stop(0, "invalid", "faults", f"{'; '.join(log.faults)}. Correct the tables")
    if share > plan.max_both_arms_share:
        return Stop(
            view.days, "invalid", "both_arms", f"{share:.1%} of users were in both arms: assignment is not sticky"
        )
    return None


def _mismatch(view: _View) -> Stop | None:
    for day in range(1, view.days + 1):
        if (evidence := view.evidence(day)) >= INVALID_ABOVE:
            planned = f"{view.plan.control.weight:g}:{view.plan.treatment.weight:g}"
            reason = (
                f"sample ratio mismatch: {_listed(view.users(day))} users, planned {planned}, evidence {evidence:.0e}"
            )
            return Stop(day, "invalid", "sample_ratio", reason)
    return None


def _harm(view: _View) -> Stop | None:
    for day in range(1, view.days + 1):
        for name, test in view.harm.items():
            if test.is_passed(day):
                return Stop(day, "rollback", "harm", f"{_described(view, name, day)}, worse: {_against(test, day)}")
    return None


def _promotion(view: _View, test: rules.SequentialTest, guarded: list[_View]) -> Stop | None:
    """Return the first day on which the metric is better and all guardrails of `guarded` are within their margins."""
    guardrails = list(chain.from_iterable(one.guardrails.values() for one in guarded))
    day = rules.first_day([test, *guardrails], range(1, view.days + 1))
    if day is None:
        return None
    reason = f"{_described(view, view.primary.metric.name, day)}, better: {_against(test, day)}"
    return Stop(day, "promote", "better", f"{reason}; {len(guardrails)} guardrails within their margins")


def _open(view: _View, test: rules.SequentialTest, guarded: list[_View]) -> Stop:
    """Return why nothing is decided yet, or at the planned end what is missing."""
    day, plan, name = view.days, view.plan, view.primary.metric.name
    if day < plan.days and view.has_ended:
        reason = f"the plan has ended, but rows of an arm are missing after day {day} of {plan.days}"
        return Stop(day, "insufficient", "missing_rows", reason)
    if day < plan.days:
        next_day = next(one for one in plan.promotion_days if one > day)
        return Stop(
            day, "hold", "not_ended", f"day {day} of {plan.days}; a promotion may be decided after day {next_day}"
        )
    if test.on(day) is None:
        seen = f"{_listed(view.users(day))} users"
        reason = (
            f"{seen}; {name} needs {plan.min_users} users an arm and {plan.min_events} events that differ between users"
        )
        return Stop(day, "insufficient", "too_little", reason)
    if not test.is_passed(day):
        return Stop(
            day, "hold", "not_better", f"{_described(view, name, day)}, not shown to be better: {_against(test, day)}"
        )
    for one in guarded:
        for guardrail, within in one.guardrails.items():
            if not within.is_passed(day):
                reason = f"{_described(one, guardrail, day)} may be worse than its margin: {_against(within, day)}"
                return Stop(day, "hold", "guardrail", f"{_described(view, name, day)}, better, but {reason}")
    return Stop(day, "hold", "not_together", "metric and guardrails were never shown on the same day")


def _decision(view: _View, stop: Stop, better: dict[str, rules.SequentialTest]) -> Decision:
    log = view.watch.log
    is_counted = stop.day > 0 and min(view.users(stop.day).values()) > 1
    return Decision(
        verdict=stop.verdict,
        rule=stop.rule,
        reason=stop.reason,
        look=stop.day,
        users=view.users(stop.day),
        srm=view.evidence(stop.day) if is_counted else None,
        both_arms_share=log.num_in_both_arms / log.num_users if log.num_users else 0.0,
        metrics=_numbers(view, stop, better) if is_counted and stop.rule != "faults" else {},
    )


def _numbers(view: _View, stop: Stop, better: dict[str, rules.SequentialTest]) -> dict[str, MetricNumbers]:
    tests, numbers = {**view.guardrails, **better}, {}
    for name, looks in view.metrics.items():
        effect, own = looks.difference_D[stop.day - 1], tests.get(name)
        if effect is None:
            continue
        change = view.watch.change(looks.metric, stop.day, _level(own, stop.day, view.plan.alpha))
        adjusted = change.relative
        if _is_promoted(stop) and name in better:
            adjusted = change.adjusted(looks.metric.sign * _drift(better[name], stop.day))
        z, boundary = _shown(own, stop.day)
        harm_z, harm_boundary = _shown(view.harm[name], stop.day)
        numbers[name] = MetricNumbers(
            **change._asdict(),
            adjusted=adjusted,
            z=z,
            boundary=boundary,
            harm_z=harm_z,
            harm_boundary=harm_boundary,
            information=effect.information,
        )
    return numbers


def _drift(test: rules.SequentialTest, day: int) -> float:
    """Return the effect that a promoted metric has, without what stopping on a high day adds."""
    at = test.days.index(day) + 1
    return median_unbiased(test.looks[:at], test.bounds[:at], test.statistics[at - 1])


def _level(test: rules.SequentialTest | None, day: int, otherwise: float) -> float:
    """Return the one-sided level of a test's boundary on a day."""
    seen = test.on(day) if test else None
    return float(norm.sf(seen[1])) if seen and norm.sf(seen[1]) > 0 else otherwise


def _shown(test: rules.SequentialTest | None, day: int) -> tuple[float | None, float | None]:
    """Return statistic and boundary of a day, None where there is none."""
    statistic, bound = (test.on(day) if test else None) or (None, None)
    return statistic, bound if bound is not None and isfinite(bound) else None


def _described(view: _View, name: str, day: int) -> str:
    change = view.watch.change(view.metrics[name].metric, day, view.plan.alpha / 2)
    where = f"{view.name}: " if view.plan.applies == "shared" and view.name else ""
    return f"{where}{name} {change.relative:+.1%} [{change.low:+.1%}, {change.high:+.1%}]"


def _against(test: rules.SequentialTest, day: int) -> str:
    statistic, bound = test.on(day) or (0.0, 0.0)
    return f"z {statistic:.2f}, boundary {bound:.2f}"


def _listed(counts: dict[str, int]) -> str:
    return " and ".join(f"{count:,} {name}" for name, count in counts.items())


def _digest(log: ExperimentLog) -> str:
    """Return a hash of what counts in a log; a table with duplicates has the same."""
    content = hashlib.sha256()
    for name, scenario in log.scenarios.items():
        content.update(f"{name} {scenario.num_users} {scenario.num_in_both_arms} {scenario.faults}".encode())
        for values in scenario.sums:
            content.update(values.tobytes())
    return content.hexdigest()[:HASH_DIGITS]
