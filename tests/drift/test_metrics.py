"""Metrics: Prometheus' own parser reads every figure back, from a file and from what a Pushgateway gets."""

from collections import defaultdict

import pytest
from prometheus_client.parser import text_string_to_metric_families

from redrec.drift.deliver import DeliveryError
from redrec.drift.metrics import metrics_text, push_metrics
from redrec.drift.verdicts import Drift
from tests.drift.results import FIRST, WEEK, column, receiver, scenario, window

HOSTILE = 'a"}\\\n b'


def parsed(text: bytes) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples by name and the values of their labels, that of the scenario first."""
    samples: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            names = sorted(sample.labels, key=lambda label: label != "scenario")
            samples[sample.name][tuple(sample.labels[name] for name in names)] = sample.value
    return samples


def drift() -> Drift:
    ads = scenario("drift", "watch", category=column(), score=column("empty", None), clicks=column("stable", 0.01))
    ads = ads.model_copy(update={"interests": column("stable", 0.005)})
    return window(0, ads=ads, **{HOSTILE: scenario("missing", "check_data")})


def test_every_figure_is_read_back():
    samples = parsed(metrics_text(drift(), 1))
    assert samples["redrec_drift_effect"] == {
        ("ads", "category"): 0.12,
        ("ads", "clicks"): 0.01,
        ("ads", "interests"): 0.005,
    }
    assert samples["redrec_drift_p_adjusted"]["ads", "category"] == 0.004
    assert samples["redrec_drift_floor"]["ads", "clicks"] == 0.03
    assert samples["redrec_drift_users"][HOSTILE, "current"] == 900
    assert samples["redrec_drift_events"]["ads", "reference"] == 8000
    assert samples["redrec_drift_window_end_timestamp_seconds"] == {(): (FIRST + WEEK).timestamp()}
    assert samples["redrec_drift_undelivered"] == {(): 1}


def test_a_verdict_and_an_action_are_1_and_all_others_0():
    samples = parsed(metrics_text(drift(), 0))
    for name, verdict, action in (("ads", "drift", "watch"), (HOSTILE, "missing", "check_data")):
        verdicts = {value: one for (own, value), one in samples["redrec_drift_verdict"].items() if own == name}
        actions = {value: one for (own, value), one in samples["redrec_drift_action"].items() if own == name}
        assert (len(verdicts), len(actions)) == (5, 5)
        assert {value for value, one in verdicts.items() if one} == {verdict}
        assert {value for value, one in actions.items() if one} == {action}


def test_a_result_without_windows_has_no_end():
    text = metrics_text(Drift(windows=None, scenarios={"ads": scenario("insufficient", "wait")}), 0)
    assert parsed(text)["redrec_drift_window_end_timestamp_seconds"] == {}


def test_a_pushgateway_gets_the_same_under_the_services_name():
    with receiver(202) as (address, received):
        push_metrics(drift(), 1, address, "shop")
        push_metrics(drift(), 1, address, "shop/eu")
    first, second = received
    assert (first.method, first.path) == ("PUT", "/metrics/job/redrec_drift/service/shop")
    assert first.content_type.startswith("text/plain")
    assert parsed(first.content) == parsed(metrics_text(drift(), 1))
    assert second.path == "/metrics/job/redrec_drift/service@base64/c2hvcC9ldQ=="


def test_a_pushgateway_that_refuses_or_is_away_is_an_error():
    with receiver(400, b"bad") as (address, _), pytest.raises(DeliveryError, match="answers 400: bad"):
        push_metrics(drift(), 0, address, "shop")
    with pytest.raises(DeliveryError, match="refused"):
        push_metrics(drift(), 0, address, "shop")
