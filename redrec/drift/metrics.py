"""Metrics: the newest verdicts as Prometheus reads them, in a file or through a Pushgateway.

A Pushgateway keeps what it got, so the end of the window is a metric, too: an alert on its age sees runs that stopped.
"""

from typing import get_args

from prometheus_client import CollectorRegistry, Gauge, generate_latest, push_to_gateway

from redrec.drift.deliver import TIMEOUT_S, delivery_errors
from redrec.drift.history import moment, span_of
from redrec.drift.verdicts import Action, Drift, DriftVerdict, ScenarioDrift

JOB = "redrec_drift"
FIGURES = {
    "p_adjusted": "P-value of the column's change, for all columns of all scenarios together",
    "effect": "Size of the column's change",
    "floor": "Size that a change must reach to count",
}


def metrics_text(drift: Drift, num_undelivered: int) -> bytes:
    """Return the metrics in Prometheus' text format; `num_undelivered` is of `redrec.drift.act`."""
    return generate_latest(_registry(drift, num_undelivered))


def push_metrics(drift: Drift, num_undelivered: int, pushgateway: str, service: str) -> None:
    """Replace the service's metrics in a Pushgateway.

    Raises:
        DeliveryError: It does not answer, or refuses them.
    """
    registry = _registry(drift, num_undelivered)
    with delivery_errors(pushgateway):
        push_to_gateway(pushgateway, JOB, registry, {"service": service}, TIMEOUT_S)


def _registry(drift: Drift, num_undelivered: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    scenarios = drift.scenarios
    _add_one_hot(registry, "verdict", get_args(DriftVerdict), {name: one.verdict for name, one in scenarios.items()})
    _add_one_hot(registry, "action", get_args(Action), {name: one.action for name, one in scenarios.items()})
    _add_counts(registry, drift)
    _add_figures(registry, drift)
    if drift.windows is not None:
        end = Gauge("redrec_drift_window_end_timestamp_seconds", "End of the newest window", registry=registry)
        end.set(moment(span_of(drift)[1]).timestamp())
    undelivered = Gauge("redrec_drift_undelivered", "Receivers that did not take what was sent", registry=registry)
    undelivered.set(num_undelivered)
    return registry


def _add_one_hot(registry: CollectorRegistry, label: str, values: tuple[str, ...], seen: dict[str, str]) -> None:
    """Add a metric that is 1 for what is seen and 0 for all other values, so that a change is no new series."""
    gauge = Gauge(f"redrec_drift_{label}", f"1 for the {label}, else 0", ["scenario", label], registry=registry)
    for name, own in seen.items():
        for value in values:
            gauge.labels(name, value).set(value == own)


def _add_counts(registry: CollectorRegistry, drift: Drift) -> None:
    for counted in ("users", "events"):
        labels = ["scenario", "window"]
        gauge = Gauge(f"redrec_drift_{counted}", f"Number of {counted} by window", labels, registry=registry)
        for name, scenario in drift.scenarios.items():
            for window, number in getattr(scenario, counted).items():
                gauge.labels(name, window).set(number)


def _add_figures(registry: CollectorRegistry, drift: Drift) -> None:
    for figure, meaning in FIGURES.items():
        gauge = Gauge(f"redrec_drift_{figure}", meaning, ["scenario", "column"], registry=registry)
        for name, scenario in drift.scenarios.items():
            for column, value in _figures(scenario, figure).items():
                gauge.labels(name, column).set(value)


def _figures(scenario: ScenarioDrift, figure: str) -> dict[str, float]:
    values = {name: getattr(column, figure) for name, column in scenario.all_columns.items()}
    return {name: value for name, value in values.items() if value is not None}
