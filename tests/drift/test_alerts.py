"""Alerts: one for each scenario that is neither stable nor insufficient, and the end of those that are over."""

import json
from datetime import datetime, timedelta

import pytest

from redrec.drift.alerts import LASTS, alerts_json, alerts_of, post_alerts
from redrec.drift.deliver import DeliveryError
from redrec.drift.verdicts import Drift
from tests.drift.results import NOW, column, receiver, scenario, window

HOSTILE = '</script>"}]'


def newest() -> Drift:
    ads = scenario("drift", "retrain", category=column(), clicks=column("stable")).model_copy(
        update={"action_reason": "ads category drifted in 2 of 3 windows"}
    )
    return window(7, ads=ads, search=scenario("missing", "check_data"), feed="stable", new="insufficient")


def test_each_scenario_that_needs_a_look_has_an_alert():
    ads, search = alerts_of(newest(), None, "shop", NOW)
    assert ads.labels == {
        "alertname": "RedrecDrift",
        "service": "shop",
        "scenario": "ads",
        "verdict": "drift",
        "action": "retrain",
        "severity": "warning",
    }
    assert ads.annotations == {
        "summary": "ads: drift in 2026-01-12T00:00:00+00:00 to 2026-01-19T00:00:00+00:00, retrain",
        "description": "planted: drift. Action retrain: ads category drifted in 2 of 3 windows.",
        "columns": "category",
    }
    assert (search.labels["scenario"], search.labels["verdict"], search.labels["severity"]) == (
        "search",
        "missing",
        "critical",
    )
    assert (ads.startsAt, ads.endsAt) == (NOW, NOW + LASTS)


def test_an_alert_whose_labels_are_gone_ends():
    """Ads drifts on, but with another action; search is back; feed was stable before."""
    before = window(0, ads=scenario("drift", "watch"), search=scenario("missing", "check_data"), feed="stable")
    now = window(7, ads=scenario("drift", "retrain"), search="stable", feed="stable")
    alerts = {(a.labels["scenario"], a.labels["action"]): a.endsAt > NOW for a in alerts_of(now, before, "shop", NOW)}
    assert alerts == {("ads", "retrain"): True, ("ads", "watch"): False, ("search", "check_data"): False}
    again = alerts_of(now, now, "shop", NOW)
    assert [alert.labels["action"] for alert in again] == ["retrain"]


def test_alertmanagers_api_gets_json_that_it_reads():
    """As its OpenAPI document has it: a list of objects with labels and annotations of texts, and ISO times."""
    drift = window(0, **{HOSTILE: scenario("drift", "watch")})
    with receiver() as (address, received):
        post_alerts(alerts_of(drift, None, "shop", NOW), f"{address}/api/v2/alerts")
    ((method, path, content, content_type),) = received
    assert (method, path, content_type) == ("POST", "/api/v2/alerts", "application/json")
    (alert,) = json.loads(content)
    assert set(alert) == {"labels", "annotations", "startsAt", "endsAt"}
    assert alert["labels"]["scenario"] == HOSTILE
    assert all(isinstance(text, str) for text in (*alert["labels"].values(), *alert["annotations"].values()))
    assert datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"]) == timedelta(days=8)


def test_without_alerts_nothing_is_sent():
    with receiver() as (address, received):
        post_alerts(alerts_of(window(0, ads="stable"), None, "shop", NOW), address)
    assert received == []
    assert json.loads(alerts_json([])) == []


def test_a_webhook_that_refuses_is_an_error():
    with receiver(500) as (address, _), pytest.raises(DeliveryError, match="answers 500"):
        post_alerts(alerts_of(newest(), None, "shop", NOW), address)
