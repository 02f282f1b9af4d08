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
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import chain
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from scipy.stats import norm

from redrec.data.tables import Engine, connect
from redrec.experiments import rules, stops
from redrec.experiments.decisions import Decision, MetricNumbers, Result, joint_verdict
from redrec.experiments.logs import read_log
from redrec.experiments.looks import until_ms
from redrec.experiments.plan import HASH_DIGITS, Plan
from redrec.experiments.rows import Files
from redrec.experiments.sequential import median_unbiased
from redrec.experiments.state import read_since
from redrec.experiments.stops import Stop
from redrec.experiments.sums import ALL_SCENARIOS, ExperimentLog
from redrec.experiments.view import View


def decide(
    exposures: Path, outcomes: Path, plan: Plan, through: datetime | None = None, engine: Engine = "duckdb"
) -> Result:
    """Decide every scenario of the plan from what is complete `through` a time (default: the newest row's hour).

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column.
    """
    return decide_log(read(exposures, outcomes, plan, through, engine), plan, through)


def read(
    exposures: Path,
    outcomes: Path,
    plan: Plan,
    through: datetime | None = None,
    engine: Engine = "duckdb",
    state: Path | None = None,
) -> ExperimentLog:
    """Return the sums of an experiment's rows before `through`; errors are those of `decide`.

    With a folder as `state`, rows of complete days are read once: the next look reads later ones only.
    """
    with TemporaryDirectory() as folder:
        scratch, files = Path(folder), Files(exposures, outcomes)
        connection = connect(engine, scratch)
        if state is None:
            return read_log(connection, files, plan, scratch, through)
        return read_since(connection, files, plan, scratch, through, state)


def decide_log(log: ExperimentLog, plan: Plan, through: datetime | None = None) -> Result:
    """Decide every scenario from the sums of a log."""
    return result_of(log, plan, views_of(log, plan, through))


def decide_looks(log: ExperimentLog, plan: Plan, through: datetime | None = None) -> list[Result]:
    """Return what was decided after each day, the newest last, as if the gate had run every day."""
    views = views_of(log, plan, through)
    results = []
    for day in range(1, max(view.days for view in views.values())):
        until_day = {name: view.until(min(day, view.days)) for name, view in views.items()}
        results.append(result_of(log, plan, {name: view._replace(has_ended=False) for name, view in until_day.items()}))
    return [*results, result_of(log, plan, views)]


def views_of(log: ExperimentLog, plan: Plan, through: datetime | None = None) -> dict[str, View]:
    """Return each scenario after its complete days."""
    through_ms = until_ms(log, plan, through)
    return {name: View.of(log, plan, name, through_ms) for name in log.scenarios}


def result_of(log: ExperimentLog, plan: Plan, views: Mapping[str, View]) -> Result:
    """Decide every scenario as it is viewed."""
    decisions = _shared(views, plan) if plan.applies == "shared" else _per_scenario(views, plan)
    total = decisions.pop(ALL_SCENARIOS, None)
    look = max(view.days for view in views.values())
    return Result(
        experiment=plan.experiment,
        plan_hash=plan.hash(),
        input_digest=_digest(log),
        through=plan.start + timedelta(days=look),
        look=look,
        verdict=joint_verdict(decisions),
        total=total,
        scenarios=decisions,
    )


def _per_scenario(views: Mapping[str, View], plan: Plan) -> dict[str, Decision]:
    level = plan.alpha / len(views)
    tests = {name: rules.better(view.metrics[plan.primary.name], plan, level) for name, view in views.items()}
    stopped = {}
    for name, view in views.items():
        stopped[name] = stops.first([*stops.endings(view), stops.promotion(view, tests[name], [view])])
    num_promoted = -1
    while num_promoted < sum(stops.is_promoted(stop) for stop in stopped.values()):
        num_promoted = sum(stops.is_promoted(stop) for stop in stopped.values())
        for name, view in views.items():
            if stopped[name] is None and view.days == plan.days:
                last_level = plan.alpha / (len(views) - num_promoted)
                tests[name] = rules.better(view.metrics[plan.primary.name], plan, level, last_level)
                stopped[name] = stops.promotion(view, tests[name], [view])
    decisions = {}
    for name, view in views.items():
        stop = stopped[name] or stops.undecided(view, tests[name], [view])
        decisions[name] = _decision(view, stop, {plan.primary.name: tests[name]})
    return decisions


def _shared(views: Mapping[str, View], plan: Plan) -> dict[str, Decision]:
    """Return the same verdict for all scenarios: what ends one ends all."""
    days = min(view.days for view in views.values())
    whole = views[ALL_SCENARIOS].until(days)
    single = [view.until(days) for view in views.values() if view.name != ALL_SCENARIOS]
    test = rules.better(whole.primary, plan, plan.alpha)
    endings = chain.from_iterable(stops.endings(view) for view in (whole, *single))
    stop = stops.first([*endings, stops.promotion(whole, test, single)]) or stops.undecided(whole, test, single)
    total = _decision(whole, stop, {whole.primary.metric.name: test})
    return {ALL_SCENARIOS: total} | {view.name: _decision(view, stop, {}) for view in single}


def _decision(view: View, stop: Stop, better: dict[str, rules.SequentialTest]) -> Decision:
    is_counted = stop.day > 0 and min(view.users(stop.day).values()) > 1
    return Decision(
        verdict=stop.verdict,
        rule=stop.rule,
        reason=stop.reason,
        look=stop.day,
        users=view.users(stop.day),
        srm=view.evidence(stop.day) if is_counted else None,
        both_arms_share=view.both_arms_share,
        metrics=_numbers(view, stop, better) if is_counted and stop.rule != "faults" else {},
    )


def _numbers(view: View, stop: Stop, better: dict[str, rules.SequentialTest]) -> dict[str, MetricNumbers]:
    tests, numbers = {**view.guardrails, **better}, {}
    for name, looks in view.metrics.items():
        effect, own = looks.difference_D[stop.day - 1], tests.get(name)
        if effect is None:
            continue
        change = view.watch.change(looks.metric, stop.day, _level(own, stop.day, view.plan.alpha))
        adjusted = change.relative
        if stops.is_promoted(stop) and name in better:
            adjusted = change.adjusted(looks.metric.sign * _drift(better[name], stop.day))
        z, boundary = _shown(own, stop.day)
        harm_z, harm_boundary = _shown(view.harm[name], stop.day)
        numbers[name] = MetricNumbers(
            control=change.control,
            treatment=change.treatment,
            relative=_known(change.relative),
            low=_known(change.low),
            high=_known(change.high),
            adjusted=_known(adjusted),
            z=z,
            boundary=boundary,
            harm_z=harm_z,
            harm_boundary=harm_boundary,
            information=effect.information,
        )
    return numbers


def _known(figure: float) -> float | None:
    return figure if isfinite(figure) else None


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


def _digest(log: ExperimentLog) -> str:
    """Return a hash of what counts in a log; a table with duplicates has the same."""
    content = hashlib.sha256()
    for name, scenario in log.scenarios.items():
        content.update(f"{name} {scenario.num_users} {scenario.num_in_both_arms} {scenario.faults}".encode())
        for values in scenario.sums:
            content.update(values.tobytes())
    return content.hexdigest()[:HASH_DIGITS]
