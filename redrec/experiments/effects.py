"""Effects: how far the treatment is from the control, from the sums of a log; intervals by tea-tasting.

The unit is the user: one user's impressions resemble each other. The error of a ratio comes from the delta method (Deng
et al., KDD 2018). What users did before the start explains part of what they do; taken off, it narrows the error
(CUPED, Deng et al., WSDM 2013). With a margin, the control's event is scaled first: the effect is then above what the
margin allows.
"""

from itertools import combinations
from math import nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from redrec.experiments.plan import Metric
from redrec.experiments.sums import Sums

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics.mean import RatioOfMeans


class Difference(NamedTuple):
    """Treatment minus control, positive where the treatment is better.

    The information is one over the squared standard error, relative to the middle of both arms: a user's sum grows day
    by day, and so does its error, but not in relation to the sum.
    """

    statistic: float
    information: float


class Change(NamedTuple):
    """The metric in both arms, and the relative change with its interval, which is nan against a control of zero."""

    control: float
    treatment: float
    relative: float
    low: float
    high: float

    def adjusted(self, drift: float) -> float:
        """Return an effect in relation to the middle of both arms as a relative change."""
        return drift * (self.control + self.treatment) / 2 / self.control if self.control else nan


def aggregates(sums: Sums, arm: int, day: int, events: tuple[str, ...]) -> "Aggregates":
    """Return means, variances and covariances of the users of one arm (0 or 1) after `day` days."""
    from tea_tasting.aggr import Aggregates

    num_users = int(sums.num_users_AD[arm, day - 1])
    mean_E = sums.total_ADE[arm, day - 1] / num_users
    covariance_EE = sums.product_ADEE[arm, day - 1] - num_users * np.outer(mean_E, mean_E)
    covariance_EE /= num_users - 1
    pairs = list(combinations(range(len(events)), 2))
    return Aggregates(
        num_users,
        dict(zip(events, mean_E.tolist(), strict=True)),
        dict(zip(events, np.diag(covariance_EE).tolist(), strict=True)),
        {(events[first], events[second]): float(covariance_EE[first, second]) for first, second in pairs},
    )


def effect(
    control: "Aggregates", treatment: "Aggregates", metric: Metric, covariate: Metric | None = None, margin: float = 0.0
) -> Difference | None:
    """Return the effect beyond the margin; None where no user differs from another, so nothing can be tested.

    It is what tea-tasting gives, without its interval, which takes most of its time: each day asks for many effects.
    """
    arms = scaled(control, metric.event, 1 - metric.sign * margin), treatment
    (before, before_variance), (after, after_variance) = _estimates(arms, metric, _usable(covariate, arms))
    error, middle = sqrt(max(before_variance + after_variance, 0.0)), (before + after) / 2
    if not error > 0 or not middle > 0:
        return None
    return Difference(metric.sign * (after - before) / error, (middle / error) ** 2)


def _usable(covariate: Metric | None, arms: "tuple[Aggregates, Aggregates]") -> Metric | None:
    """Return the covariate if users of both arms have it, and differ in it."""
    if covariate is None:
        return None
    control, treatment = arms
    if any(control.mean(event) == 0 or treatment.mean(event) == 0 for event in covariate.events):
        return None
    return covariate if (control + treatment).ratio_var(covariate.event, covariate.per) > 0 else None


def _estimates(
    arms: "tuple[Aggregates, Aggregates]", metric: Metric, covariate: Metric | None
) -> list[tuple[float, float]]:
    """Return the metric of each arm and its squared error, less what the covariate explains (CUPED)."""
    estimates = [_ratio(arm, metric) for arm in arms]
    if covariate is None:
        return estimates
    names, total = (covariate.event, covariate.per), arms[0] + arms[1]
    slope = total.ratio_cov(metric.event, metric.per, *names) / total.ratio_var(*names)
    middle, adjusted = _ratio(total, covariate)[0], []
    for arm, (value, variance) in zip(arms, estimates, strict=True):
        before, before_variance = _ratio(arm, covariate)
        covariance = arm.ratio_cov(metric.event, metric.per, *names) / arm.count()
        variance += slope**2 * before_variance - 2 * slope * covariance
        adjusted.append((value - slope * (before - middle), variance))
    return adjusted


def _ratio(arm: "Aggregates", metric: Metric) -> tuple[float, float]:
    """Return the mean, or the ratio of means, and its squared error; nan where the denominator is zero."""
    mean, variance = arm.mean(metric.event), arm.var(metric.event)
    if metric.per is None:
        return float(mean), float(variance / arm.count())
    per = arm.mean(metric.per)
    if per == 0:
        return nan, nan
    ratio = mean / per
    variance += ratio**2 * arm.var(metric.per) - 2 * ratio * arm.cov(metric.event, metric.per)
    return float(ratio), float(variance / per**2 / arm.count())


def change(
    control: "Aggregates", treatment: "Aggregates", metric: Metric, level: float, covariate: Metric | None = None
) -> Change:
    """Return the relative change; each bound of its interval holds at the one-sided `level`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        analysis = _analysis(metric, 1 - 2 * level, _usable(covariate, (control, treatment)))
        result = analysis.analyze_aggregates(control, treatment)
    if not result.control:
        return Change(float(result.control), float(result.treatment), nan, nan, nan)
    figures = result.control, result.treatment, result.rel_effect_size
    return Change(*map(float, (*figures, result.rel_effect_size_ci_lower, result.rel_effect_size_ci_upper)))


def scaled(aggregates: "Aggregates", event: str, factor: float) -> "Aggregates":
    """Return the aggregates as if each user's sum of the event were `factor` times as large."""
    from tea_tasting.aggr import Aggregates

    covariances = {pair: factor * value if event in pair else value for pair, value in aggregates.cov_.items()}
    return Aggregates(
        aggregates.count_,
        {**aggregates.mean_, event: factor * aggregates.mean_[event]},
        {**aggregates.var_, event: factor**2 * aggregates.var_[event]},
        covariances,
    )


def _analysis(metric: Metric, level: float, covariate: Metric | None) -> "RatioOfMeans":
    import tea_tasting

    names = (covariate.event, covariate.per) if covariate else (None, None)
    return tea_tasting.RatioOfMeans(metric.event, metric.per, *names, confidence_level=level, use_t=False)
