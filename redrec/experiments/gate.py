"""Gate: an experiment log and a plan written beforehand in, one decision per scenario out.

This is the fixed-horizon gate: its error rates hold if it is read once, at the planned end. Read every day,
the same test promotes a change without effect about one time in five, so before the planned end it decides hold.

Rules, in this order; the first that applies decides a scenario:

1. before the planned end: hold
2. more users in both arms than allowed (fewer are dropped): hold, assignment is broken
3. too few users or events: hold
4. sample ratio mismatch: hold, the arms are not comparable
5. metric or guardrail significantly worse: rollback
6. metric significantly better, and guardrail shown to be within its margin: promote
7. otherwise: hold

Users are the units, never impressions: one user's impressions resemble each other. The error of a ratio of sums
comes from the delta method (Deng et al., KDD 2018) through tea-tasting. Promotion is tested at
`alpha / number of scenarios` (Bonferroni), so that the chance of any false promotion stays below alpha; harm is
tested at its own level without that correction, because a missed harm costs more than a false alarm.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, PositiveInt

from redrec.config import Config, InputError, Record
from redrec.markdown import verdict_table

if TYPE_CHECKING:
    from tea_tasting.metrics.mean import MeanResult, RatioOfMeans

GateVerdict = Literal["promote", "hold", "rollback"]


class Arm(Config):
    name: str
    weight: float = Field(gt=0, lt=1)


class RatioMetric(Config):
    """Sum of one log column over sum of another, per arm."""

    numerator: str
    denominator: str

    @property
    def columns(self) -> tuple[str, str]:
        return self.numerator, self.denominator


class Plan(Config):
    """What is fixed before the experiment begins; the error rates do not hold if it changes during the experiment."""

    experiment: str
    scenarios: tuple[str, ...] = Field(min_length=1)
    control: Arm = Arm(name="control", weight=0.5)
    treatment: Arm = Arm(name="treatment", weight=0.5)
    num_days: PositiveInt  # whole weeks, since weekdays differ
    metric: RatioMetric = RatioMetric(numerator="clicks", denominator="impressions")  # higher is better
    guardrail: RatioMetric = RatioMetric(numerator="hides", denominator="impressions")  # lower is better
    guardrail_margin: float = Field(default=0.10, gt=0)  # accepted relative rise of the guardrail
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # one-sided, shared by all scenarios
    harm_alpha: float = Field(default=0.025, gt=0, lt=0.5)  # one-sided, for each metric of each scenario
    srm_alpha: float = Field(default=0.001, gt=0, lt=0.5)  # GrowthBook and Statsig use the same level
    max_both_arms_share: float = Field(default=0.01, ge=0, lt=1)  # GrowthBook alarms above it
    min_users: PositiveInt = 100  # per arm; the delta method depends on a central limit theorem over users
    min_events: PositiveInt = 100  # sum of a numerator over both arms, for the same reason

    @property
    def columns(self) -> set[str]:
        """The log columns that the metric and the guardrail name."""
        return {*self.metric.columns, *self.guardrail.columns}

    @property
    def promote_alpha(self) -> float:
        """The one-sided level of one scenario's promotion: Bonferroni over the scenarios."""
        return self.alpha / len(self.scenarios)


class Comparison(Record):
    """One metric in both arms; the interval is of the relative change and agrees with the one-sided tests."""

    control: float
    treatment: float
    relative_change: float
    low: float
    high: float
    pvalue_higher: float
    pvalue_lower: float


class Numbers(Record):
    days: int
    users: dict[str, int]
    both_arms_share: float
    srm_pvalue: float | None = None
    metric: Comparison | None = None
    guardrail: Comparison | None = None


class Decision(Record):
    verdict: GateVerdict
    reason: str
    numbers: Numbers


def read_log(path: Path) -> pa.Table:
    """Return an experiment log from a Parquet file.

    Raises:
        InputError: There is no such file, or it is no Parquet file.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read as a Parquet file: {error}. Give an experiment log.") from error


def fixed_horizon_gate(log: pa.Table, plan: Plan) -> dict[str, Decision]:
    """Decide every scenario of the plan from the log's first `num_days` days.

    `log` has one or more rows per user, scenario and day: experiment, user_id, scenario, arm, day (0 is the
    first), and the columns that the plan's metrics name. Rows of other experiments are ignored.

    Raises:
        InputError: A column is absent, or the log has an arm or a scenario that the plan does not name.
    """
    _check_columns(log, plan)
    log = log.filter((pc.field("experiment") == plan.experiment) & (pc.field("day") < plan.num_days))
    _check_names(log, plan)
    days = pc.max(log["day"]).as_py() + 1 if log.num_rows else 0
    return {scenario: _decide(log.filter(pc.field("scenario") == scenario), plan, days) for scenario in plan.scenarios}


def joint_verdict(decisions: Mapping[str, Decision]) -> GateVerdict:
    """Return the verdict for a service that has one release for all scenarios.

    One scenario's rollback is a rollback, since the treatment is worse there; a promotion needs all of them.
    """
    verdicts = {decision.verdict for decision in decisions.values()}
    if "rollback" in verdicts:
        return "rollback"
    return "promote" if verdicts == {"promote"} else "hold"


def decisions_markdown(decisions: Mapping[str, Decision]) -> str:
    return verdict_table({name: (decision.verdict, decision.reason) for name, decision in decisions.items()})


def _decide(log: pa.Table, plan: Plan, days: int) -> Decision:
    users, both_arms_share = _one_row_per_user(log, plan)
    counts = {arm.name: pc.sum(pc.equal(users["arm"], arm.name)).as_py() or 0 for arm in (plan.control, plan.treatment)}
    numbers = Numbers(days=days, users=counts, both_arms_share=both_arms_share)

    def decision(verdict: GateVerdict, reason: str) -> Decision:
        return Decision(verdict=verdict, reason=reason, numbers=numbers)

    if days < plan.num_days:
        return decision("hold", f"read on day {days} of {plan.num_days}; this gate decides once, at the planned end")
    if both_arms_share > plan.max_both_arms_share:
        return decision("hold", f"{both_arms_share:.1%} of users were in both arms; assignment is not sticky")
    if min(counts.values()) < plan.min_users:
        return decision("hold", f"{_listed(counts)} users, fewer than {plan.min_users} in an arm")

    for metric in (plan.metric, plan.guardrail):
        num_events = pc.sum(users[metric.numerator]).as_py()
        if num_events < plan.min_events:
            return decision("hold", f"{num_events} {metric.numerator} in both arms, fewer than {plan.min_events}")

    srm_pvalue, metric_numbers, guardrail_numbers = _analyze(users, plan)
    numbers = numbers.model_copy(
        update={"srm_pvalue": srm_pvalue, "metric": metric_numbers, "guardrail": guardrail_numbers}
    )
    if srm_pvalue < plan.srm_alpha:
        planned = f"{plan.control.weight:g}:{plan.treatment.weight:g}"
        return decision(
            "hold", f"sample ratio mismatch: {_listed(counts)} users, planned {planned}, p={srm_pvalue:.1e}"
        )
    return decision(*_verdict(metric_numbers, guardrail_numbers, plan))


def _verdict(metric: Comparison, guardrail: Comparison, plan: Plan) -> tuple[GateVerdict, str]:
    alpha = plan.promote_alpha
    metric_text = _described(plan.metric, metric)
    guardrail_text = _described(plan.guardrail, guardrail)
    if metric.pvalue_lower < plan.harm_alpha:
        return "rollback", f"{metric_text}, worse at p={metric.pvalue_lower:.2g} < {plan.harm_alpha:g}"
    if guardrail.pvalue_higher < plan.harm_alpha:
        return "rollback", f"{guardrail_text}, worse at p={guardrail.pvalue_higher:.2g} < {plan.harm_alpha:g}"
    if metric.pvalue_higher >= alpha:
        return "hold", f"{metric_text}, not shown to be better: p={metric.pvalue_higher:.2g}, needs < {alpha:.2g}"
    if not guardrail.high <= plan.guardrail_margin:
        return "hold", f"{metric_text}, better, but {guardrail_text} may rise above +{plan.guardrail_margin:.0%}"
    return "promote", f"{metric_text}, better at p={metric.pvalue_higher:.2g} < {alpha:.2g}; {guardrail_text}"


def _one_row_per_user(log: pa.Table, plan: Plan) -> tuple[pa.Table, float]:
    """Sum the log per user; users in both arms are dropped, and their share is returned."""
    per_arm = log.group_by(["user_id", "arm"]).aggregate([(column, "sum") for column in sorted(plan.columns)])
    per_arm = per_arm.rename_columns([name.removesuffix("_sum") for name in per_arm.column_names])
    arms = per_arm.group_by("user_id").aggregate([("arm", "count")])
    once = arms.filter(pc.field("arm_count") == 1)
    share = 1 - once.num_rows / arms.num_rows if arms.num_rows else 0.0
    return per_arm.join(once.select(["user_id"]), keys="user_id", join_type="inner"), share


def _analyze(users: pa.Table, plan: Plan) -> tuple[float, Comparison, Comparison]:
    """Return the sample ratio p-value, the metric and the guardrail.

    Each bound of an interval holds at 1 - alpha, so that it agrees with the one-sided test of the decision.
    """
    import tea_tasting  # takes 2 s, and plans and decisions do not need it

    tests = {
        "srm": tea_tasting.SampleRatio(plan.treatment.weight / plan.control.weight),
        "metric": _ratio_of_means(plan.metric, plan.promote_alpha),
        "guardrail": _ratio_of_means(plan.guardrail, plan.alpha),
    }
    results = tea_tasting.Experiment(tests, variant="arm").analyze(users, control=plan.control.name)
    return float(results["srm"].pvalue), _comparison(results["metric"]), _comparison(results["guardrail"])


def _ratio_of_means(metric: RatioMetric, alpha: float) -> "RatioOfMeans":
    import tea_tasting

    return tea_tasting.RatioOfMeans(metric.numerator, metric.denominator, confidence_level=1 - 2 * alpha)


def _comparison(result: "MeanResult") -> Comparison:
    higher = result.pvalue / 2 if result.effect_size > 0 else 1 - result.pvalue / 2
    return Comparison(
        control=result.control,
        treatment=result.treatment,
        relative_change=result.rel_effect_size,
        low=result.rel_effect_size_ci_lower,
        high=result.rel_effect_size_ci_upper,
        pvalue_higher=higher,
        pvalue_lower=1 - higher,
    )


def _check_columns(log: pa.Table, plan: Plan) -> None:
    needed = {"experiment", "user_id", "scenario", "arm", "day"} | plan.columns
    if absent := sorted(needed - set(log.column_names)):
        raise InputError(
            f"The experiment log has no column {', '.join(absent)}; it has {', '.join(log.column_names)}. "
            "Log it, or name the columns of the plan's metrics as the log does."
        )


def _check_names(log: pa.Table, plan: Plan) -> None:
    for column, allowed in (("arm", (plan.control.name, plan.treatment.name)), ("scenario", plan.scenarios)):
        if unknown := sorted(set(pc.unique(log[column]).to_pylist()) - set(allowed), key=str):
            raise InputError(
                f"The log of experiment {plan.experiment!r} has the {column} {unknown[0]!r}; the plan names "
                f"{', '.join(allowed)}. Correct the plan before the experiment, or filter the log."
            )


def _described(metric: RatioMetric, numbers: Comparison) -> str:
    name = f"{metric.numerator}/{metric.denominator}"
    return f"{name} {numbers.relative_change:+.1%} [{numbers.low:+.1%}, {numbers.high:+.1%}]"


def _listed(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} {name}" for name, count in counts.items())
