"""Alerts: what Prometheus' Alertmanager takes at /api/v2/alerts, one for each scenario that needs somebody's look.

An alert fires until the next run says otherwise: one whose labels the newest window has no more is sent again with an
end. Without a next run it ends by itself.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from redrec.config import Record
from redrec.drift.actions import drifted_columns
from redrec.drift.deliver import post
from redrec.drift.verdicts import Drift, ScenarioDrift

NAME = "RedrecDrift"
LASTS = timedelta(days=8)  # a day more than there is between weekly runs
QUIET = ("stable", "insufficient")

Labels = dict[str, str]


class Alert(Record):
    """As Alertmanager's API names the fields, with times in ISO 8601."""

    labels: Labels
    annotations: dict[str, str]
    startsAt: datetime
    endsAt: datetime


def alerts_of(drift: Drift, before: Drift | None, service: str, now: datetime) -> list[Alert]:
    """Return the alerts that fire, and those that end; `before` is the result that the last alerts were of."""
    firing = [_alert(name, one, drift, service, now) for name, one in drift.scenarios.items() if is_alerted(one)]
    ended = []
    for name, scenario in before.scenarios.items() if before else ():
        labels = _labels(name, scenario, service)
        if is_alerted(scenario) and all(alert.labels != labels for alert in firing):
            ended.append(Alert(labels=labels, annotations={"summary": f"{name}: over"}, startsAt=now, endsAt=now))
    return firing + ended


def post_alerts(alerts: Sequence[Alert], webhook: str) -> None:
    """Send the alerts in one request, none if there are none.

    Raises:
        DeliveryError: The receiver does not answer, or refuses them.
    """
    if alerts:
        post(webhook, alerts_json(alerts))


def alerts_json(alerts: Sequence[Alert]) -> bytes:
    return json.dumps([alert.model_dump(mode="json") for alert in alerts], ensure_ascii=False).encode()


def is_alerted(scenario: ScenarioDrift) -> bool:
    return scenario.verdict not in QUIET


def _labels(name: str, scenario: ScenarioDrift, service: str) -> Labels:
    severity = "critical" if scenario.action == "check_data" else "warning"
    kind = {"verdict": scenario.verdict, "action": scenario.action, "severity": severity}
    return {"alertname": NAME, "service": service, "scenario": name, **kind}


def _alert(name: str, scenario: ScenarioDrift, drift: Drift, service: str, now: datetime) -> Alert:
    window = f" in {' to '.join(drift.windows['current'])}" if drift.windows else ""
    annotations = {
        "summary": f"{name}: {scenario.verdict}{window}, {scenario.action}",
        "description": f"{scenario.reason}. Action {scenario.action}: {scenario.action_reason}.",
        "columns": ", ".join(drifted_columns(scenario)),
    }
    return Alert(labels=_labels(name, scenario, service), annotations=annotations, startsAt=now, endsAt=now + LASTS)
