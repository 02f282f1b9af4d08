"""Snapshots: Evidently's distances and plots beside our verdict, whatever a column holds."""

import json

import ibis
import numpy as np
import pyarrow as pa
import pytest

from monitoring.snapshots import metric_columns, numbers_of, scenario_snapshots
from redrec.drift.logs import Logs
from redrec.drift.verdicts import Drift
from tests.monitoring.logs import HOSTILE, NAMES, TIME, WINDOWS, drifted, events, insufficient, logs_of


def snapshot_of(logs: Logs, scenario=None):
    drift = Drift(windows=WINDOWS, scenarios={"ads": scenario or insufficient()})
    return scenario_snapshots(logs, drift, TIME, bundle="bundle-7")["ads"]


def snapshot_with(values: list) -> object:
    users = {"user_id": [f"u{number}" for number in range(40)], "item_id": ["i"] * 40, "scenario": ["ads"] * 40}
    reference = pa.table(users | {"column": np.random.default_rng(0).normal(size=40), "other": np.arange(40.0)})
    current = pa.table(users | {"column": pa.array(values, pa.float64()), "other": np.arange(40.0)})
    logs = Logs(ibis.memtable(reference), ibis.memtable(current), {"column": "numeric", "other": "numeric"})
    return snapshot_of(logs)


@pytest.fixture(scope="module")
def snapshot():
    return snapshot_of(logs_of(events(0), events(1, shift=1.0)), drifted())


def test_what_the_verdict_measures_is_kept_as_numbers(snapshot):
    numbers = dict(zip(metric_columns(snapshot, "MeanValue"), kept_values(snapshot, "MeanValue"), strict=True))
    assert numbers == numbers_of(drifted())
    assert numbers["p adjusted: score"] == 0.006
    assert numbers["effect: score"] == 0.21
    assert numbers["users, current"] == 60
    assert numbers["changed columns"] == 1


def test_evidently_measures_the_distance_of_each_column(snapshot):
    distances = dict(zip(metric_columns(snapshot, "ValueDrift"), kept_values(snapshot, "ValueDrift"), strict=True))
    assert len(distances) == 4
    assert distances["score"] > 1 > distances["category"]


def kept_values(snapshot, metric: str) -> list[float]:
    return [
        result.value
        for result in snapshot.metric_results.values()
        if result.metric_value_location.metric.params["type"].endswith(metric)
    ]


def test_evidently_gives_no_verdict(snapshot):
    content = snapshot.dumps()
    assert "Data drift" not in content
    assert snapshot.to_snapshot_model().tests_widgets == []


def test_the_verdict_comes_first_and_then_the_changed_columns(snapshot):
    widgets = snapshot.to_snapshot_model().widgets
    assert widgets[0].params["counters"][0]["value"] == "ads: drift"
    assert widgets[1].params["data"][0][:2] == ["score", "drift"]
    assert widgets[2].title == "score"


def test_a_snapshot_says_which_scenario_windows_and_bundle_it_is_of(snapshot):
    model = snapshot.to_snapshot_model()
    assert model.tags == ["ads", "drift"]
    assert model.metadata["current"] == "2026-01-12T00:00:00 to 2026-01-19T00:00:00"
    assert model.metadata["bundle"] == "bundle-7"
    assert model.metadata["action"] == "watch"


def test_no_text_of_a_snapshot_begins_a_tag(snapshot):
    drift = Drift(windows=WINDOWS, scenarios={NAMES[1]: drifted()})
    hostile = scenario_snapshots(logs_of(events(0), events(1)), drift, TIME, bundle=HOSTILE)[NAMES[1]]
    for content in (snapshot.dumps(), hostile.dumps()):
        assert "‹/script>" in json.dumps(json.loads(content), ensure_ascii=False)
        assert "<img" not in content
        assert "</script" not in content


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 40,  # constant
        [None] * 40,
        [float("nan")] * 40,
        [float("inf")] * 40,
        [float("-inf"), *np.arange(39.0)],
        [1e308] * 20 + [-1e308] * 20,
        [None] * 39 + [1.0],
    ],
    ids=["constant", "null", "nan", "inf", "one-inf", "huge", "one-value"],
)
def test_every_column_gives_a_snapshot_that_is_json(values: list):
    snapshot = snapshot_with(values)
    assert "other" in metric_columns(snapshot, "ValueDrift")
    json.loads(snapshot.dumps(), parse_constant=refuse)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON, and breaks the page")


def test_a_scenario_that_has_gone_is_a_snapshot_without_plots():
    snapshot = snapshot_of(logs_of(events(0), events(1).slice(0, 0)))
    assert metric_columns(snapshot, "ValueDrift") == []
    assert "users, current" in metric_columns(snapshot, "MeanValue")


def test_years_and_numbers_stay_categories():
    years = pa.chunked_array([["2024", "2025"] * 300 * 2])
    log = events(0).append_column("year", years.cast(pa.string()))
    plots = [widget for widget in snapshot_of(logs_of(log, log)).to_snapshot_model().widgets if widget.title == "year"]
    assert plots[0].params["layout"]["xaxis"]["type"] == "category"
