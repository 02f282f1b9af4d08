"""View: one scenario of an experiment after its complete days, with the tests that its rules read."""

from math import isfinite
from typing import NamedTuple

from redrec.experiments import rules
from redrec.experiments.looks import MetricLooks, Watch, complete_days
from redrec.experiments.plan import Guardrail, Metric, Plan
from redrec.experiments.sample_ratio import sample_ratio_evidence
from redrec.experiments.sums import ALL_SCENARIOS, MS_PER_DAY, ExperimentLog


class View(NamedTuple):
    name: str
    watch: Watch
    days: int
    has_ended: bool
    metrics: dict[str, MetricLooks]
    guardrails: dict[str, rules.SequentialTest]
    harm: dict[str, rules.SequentialTest]

    @classmethod
    def of(cls, log: ExperimentLog, plan: Plan, name: str, through_ms: int) -> "View":
        watch = Watch(log.scenarios[name], log.columns, plan)
        days = complete_days(watch.log, plan, through_ms)
        metrics = watch.looks(_metrics(plan, name), days)
        return cls(name, watch, days, through_ms >= plan.days * MS_PER_DAY, metrics, {}, {}).until(days)

    def until(self, days: int) -> "View":
        """Return the view as it was after `days` of its days."""
        plan = self.plan
        metrics = {name: looks.until(days) for name, looks in self.metrics.items()}
        guarded = [looks for looks in metrics.values() if isinstance(looks.metric, Guardrail)]
        guardrails = {looks.metric.name: rules.within_margin(looks, plan) for looks in guarded}
        harm = {metric: rules.worse(looks, plan, len(metrics)) for metric, looks in metrics.items()}
        return self._replace(days=days, metrics=metrics, guardrails=guardrails, harm=harm)

    @property
    def plan(self) -> Plan:
        return self.watch.plan

    @property
    def primary(self) -> MetricLooks:
        return next(iter(self.metrics.values()))

    @property
    def both_arms_share(self) -> float:
        log = self.watch.log
        return log.num_in_both_arms / log.num_users if log.num_users else 0.0

    def users(self, day: int) -> dict[str, int]:
        counts = self.watch.log.sums.num_users_AD[:, day - 1].tolist() if day else [0, 0]
        return dict(zip((arm.name for arm in self.plan.arms), counts, strict=True))

    def users_text(self, day: int) -> str:
        return " and ".join(f"{count:,} {name}" for name, count in self.users(day).items()) + " users"

    def evidence(self, day: int) -> float:
        """Return the evidence of a sample ratio mismatch."""
        num_control, num_treatment = self.watch.log.sums.num_users_AD[:, day - 1].tolist()
        return sample_ratio_evidence(num_control, num_treatment, self.plan.treatment.weight)

    def change_text(self, metric: str, day: int) -> str:
        change = self.watch.change(self.metrics[metric].metric, day, self.plan.alpha / 2)
        where = f"{self.name}: " if self.plan.applies == "shared" and self.name else ""
        if not (isfinite(change.low) and isfinite(change.high)):  # an arm has none
            return f"{where}{metric} {change.treatment:.3g} after {change.control:.3g} in {self.plan.control.name}"
        return f"{where}{metric} {change.relative:+.1%} [{change.low:+.1%}, {change.high:+.1%}]"


def _metrics(plan: Plan, scenario: str) -> tuple[Metric, ...]:
    """Return what is tested in a scenario; of all together the total of the primary's event."""
    if scenario == ALL_SCENARIOS:
        return (Metric(event=plan.primary.event, direction=plan.primary.direction),)
    if plan.applies == "per_scenario":
        return plan.metrics
    primary = Guardrail(**plan.primary.model_dump(), margin=plan.volume_margin)
    return (primary, *plan.all_guardrails)


def against(test: rules.SequentialTest, day: int) -> str:
    """Return statistic and boundary of a day in words."""
    statistic, bound = test.on(day) or (0.0, 0.0)
    return f"z {statistic:.2f}, boundary {bound:.2f}"
