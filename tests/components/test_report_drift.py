"""Step 6: what a run reports, keeps and sends, and the thresholds of the recipe."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kfp import dsl

from components.report_drift import report_drift
from redrec.config import InputError
from redrec.drift.history import read_history
from redrec.drift.verdicts import Drift
from redrec.folders import DriftFolder
from tests.components.conftest import Steps
from tests.drift.results import receiver

SCENARIOS = {"homefeed", "search", "ads"}


class Reported(NamedTuple):
    step: str
    drift: Drift
    summary: str
    timeline: str


def report(steps: Steps, folder: Path, drift: dict[str, Any], **settings: Any) -> Reported:
    artifact, summary = dsl.Artifact(uri=str(folder / "drift")), dsl.Markdown(uri=str(folder / "summary.md"))
    page, timeline = dsl.HTML(uri=str(folder / "report.html")), dsl.HTML(uri=str(folder / "timeline.html"))
    recipe = json.dumps({"drift": drift})
    step = report_drift.python_func(steps.data, artifact, summary, page, timeline, recipe, **settings)
    verdicts = Drift.model_validate_json(DriftFolder(Path(artifact.path)).verdicts.read_bytes())
    return Reported(step, verdicts, Path(summary.path).read_text(), Path(timeline.path).read_text())


def test_report_drift_summarizes_every_scenario_in_one_file(steps: Steps):
    rows = Path(steps.summary.path).read_text().splitlines()[2:]
    assert {row.split("|")[1].strip() for row in rows} == SCENARIOS


def test_the_page_for_the_ui_is_one_file_with_every_scenario(steps: Steps):
    page = Path(steps.report.path).read_text()
    assert all(scenario in page for scenario in SCENARIOS)


def test_drift_settings_of_the_recipe_reach_the_verdicts(steps: Steps, tmp_path: Path):
    few = report(steps, tmp_path / "few", {"min_users": 3, "value_floor": 0.99})
    many = report(steps, tmp_path / "many", {"min_users": 1000})
    assert set(few.drift.verdicts.values()) <= {"stable", "volume"}
    floors = {column.floor for column in few.drift.scenarios["homefeed"].columns.values() if column.floor is not None}
    assert floors <= {0.99}
    assert set(many.drift.verdicts.values()) <= {"insufficient"}
    assert many.step == "stable"


def test_verdicts_are_kept_and_sent(steps: Steps, tmp_path: Path):
    history = str(tmp_path / "history.jsonl")
    with receiver() as (address, received):
        settings = {"history": history, "webhook": f"{address}/alerts", "pushgateway": address, "service": "shop"}
        reported = report(steps, tmp_path, {"min_users": 3}, **settings)
    assert read_history(history).windows == (reported.drift,)
    assert received[-1].path == "/metrics/job/redrec_drift/service/shop"
    assert reported.timeline.count("<h2>") == len(SCENARIOS)


def test_a_training_without_a_history_is_refused(steps: Steps, tmp_path: Path):
    with pytest.raises(InputError, match="retrain is given without a history"):
        report(steps, tmp_path, {}, retrain=True)
