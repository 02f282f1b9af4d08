"""Report: one page about an experiment, with what each scenario showed day by day.

Names of scenarios, arms and metrics are the user's texts, so the template escapes them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from redrec.experiments.decisions import Decision, MetricNumbers, Result
from redrec.experiments.picture import HEIGHT, LEFT, WIDTH, Chart, Series, chart
from redrec.experiments.plan import Plan

TOTAL = "all scenarios together"


class Section(NamedTuple):
    """One scenario of the page."""

    name: str
    decision: Decision
    charts: list[Chart]


def page(looks: Sequence[Result], plan: Plan) -> str:
    """Return the looks, the newest last, as one HTML page that loads no other file."""
    from jinja2 import Environment, PackageLoader

    newest = looks[-1]
    sections = []
    if newest.total is not None:
        totals = [look.total for look in looks if look.total is not None]
        sections.append(_section(TOTAL, totals, plan))
    for name in newest.scenarios:
        sections.append(_section(name, [look.scenarios[name] for look in looks], plan))
    template = Environment(loader=PackageLoader("redrec.experiments", "."), autoescape=True).get_template("report.html")
    return template.render(
        result=newest, plan=plan, sections=sections, width=WIDTH, height=HEIGHT, left=LEFT, percent=_percent
    )


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:+.1f} %"


def _section(name: str, decisions: Sequence[Decision], plan: Plan) -> Section:
    by_day = {decision.look: decision for decision in decisions if decision.look > 0}
    charts = []
    metric = next(iter(decisions[-1].metrics), None)
    if metric is not None:
        numbers = {day: one.metrics[metric] for day, one in by_day.items() if metric in one.metrics}
        charts = [_effect(metric, numbers, plan), _statistic(metric, numbers, plan), _shares(by_day, plan)]
    return Section(name, decisions[-1], charts)


def _effect(metric: str, numbers: dict[int, MetricNumbers], plan: Plan) -> Chart:
    changes, lows, highs = (_points(numbers, figure) for figure in ("relative", "low", "high"))
    series = [
        Series("interval", "interval", lows, highs),
        Series("no change", "planned", _level(0, plan)),
        Series("change", "seen", changes),
    ]
    note = "Relative change under treatment, with the interval at the level of each day's boundary."
    return chart(metric, note, series, plan.days, "+.1%")


def _statistic(metric: str, numbers: dict[int, MetricNumbers], plan: Plan) -> Chart:
    seen, harm = _negative(_points(numbers, "harm_z")), _negative(_points(numbers, "harm_boundary"))
    better = _points(numbers, "boundary")
    series = [
        Series("no change", "planned", _level(0, plan)),
        Series("worse below", "harm", harm),
        Series("better above", "better", better),
        Series("z", "seen", seen),
    ]
    note = "Standard errors from no change. Below the red line the treatment is worse; above a green dot it is better."
    return chart(f"{metric}: z and its boundaries", note, series, plan.days, ".1f")


def _shares(by_day: dict[int, Decision], plan: Plan) -> Chart:
    shares, newest = [], by_day[max(by_day)]
    for day, decision in by_day.items():
        num_users = sum(decision.users.values())
        if num_users:
            shares.append((day, decision.users[plan.treatment.name] / num_users))
    series = [Series("planned", "planned", _level(plan.treatment.weight, plan)), Series("seen", "seen", shares)]
    evidence = "too few users" if newest.srm is None else f"{newest.srm:.2g}"
    note = f"Evidence of another ratio than the planned one: {evidence}; above 1000 the experiment is invalid."
    return chart(f"users in {plan.treatment.name}", note, series, plan.days, ".2%")


def _points(numbers: dict[int, MetricNumbers], figure: str) -> list[tuple[float, float]]:
    """Return the days on which a figure is known."""
    figures = [(day, getattr(one, figure)) for day, one in numbers.items()]
    return [(day, value) for day, value in figures if value is not None]


def _negative(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(day, -value) for day, value in points]


def _level(value: float, plan: Plan) -> list[tuple[float, float]]:
    return [(1, value), (plan.days, value)]
