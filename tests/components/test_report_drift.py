"""Step 6: the summary, and thresholds of the recipe."""

import json
from pathlib import Path

from kfp import dsl

from components.report_drift import report_drift
from redrec.folders import DriftFolder, read_json
from tests.components.conftest import Steps


def test_report_drift_summarizes_every_scenario_in_one_file(steps: Steps):
    rows = Path(steps.summary.path).read_text().splitlines()[2:]
    assert {row.split("|")[1].strip() for row in rows} == {"homefeed", "search", "ads"}


def test_the_page_for_the_ui_is_one_file_with_every_scenario(steps: Steps):
    page = Path(steps.report.path).read_text()
    assert all(f"<h2>{scenario}: " in page for scenario in ("homefeed", "search", "ads"))


def test_drift_thresholds_of_the_recipe_reach_the_verdicts(steps: Steps, tmp_path: Path):
    recipe = json.dumps({"drift": {"min_users": 3, "numeric_threshold": 40.0, "categorical_threshold": 0.9}})
    drift, summary = dsl.Artifact(uri=str(tmp_path / "drift")), dsl.Markdown(uri=str(tmp_path / "summary.md"))
    report = dsl.HTML(uri=str(tmp_path / "report.html"))
    assert report_drift.python_func(steps.data, drift, summary, report, recipe) == "stable"
    verdict = read_json(DriftFolder(Path(drift.path)).verdicts)["homefeed"]
    assert verdict["verdict"] == "stable"
    assert {column["threshold"] for column in verdict["columns"].values()} <= {40.0, 0.9}
    assert verdict["columns"]["num_events"]["threshold"] == 40.0
