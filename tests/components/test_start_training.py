"""After drift: one run of the train pipeline, named by the reason, however often the step runs."""

from pathlib import Path

import pytest
from kfp import dsl

from components.start_training import start_training
from redrec.folders import DriftFolder, write_json
from tests.drift.results import scenario, window
from tests.pipelines.kfp_api import KfpApi, kfp_api, run_in

NAME = "retrain: ads category drifted in 2 of 3 windows, to 2026-01-12"
RUNS = "/apis/v2beta1/runs"
GIVEN = ("e.parquet", "i.parquet", "{}", "s3://b/live", "", "s3://b/releases", True, "", "shop", 60)


def start(api: KfpApi, folder: Path) -> str:
    reason = {"action_reason": "ads category drifted in 2 of 3 windows"}
    drift = window(0, ads=scenario("drift", "retrain").model_copy(update=reason), search=scenario("drift", "watch"))
    write_json(DriftFolder(folder).verdicts, drift.model_dump(mode="json"))
    target = {"host": api.url, "experiment": "nightly"}
    return start_training.python_func(dsl.Artifact(uri=str(folder)), target, "redrec-train", *GIVEN)


def test_the_run_has_the_reason_and_the_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    with kfp_api() as api:
        api.pipelines = [{"pipeline_id": "p-7", "display_name": "redrec-train"}]
        api.versions = [{"pipeline_id": "p-7", "pipeline_version_id": "v-9"}]
        assert start(api, tmp_path) == f"{api.url}/#/runs/details/r-1"
        sent = api.sent("POST", RUNS)
        api.named = [run_in("RUNNING") | {"run_id": "r-0", "display_name": NAME}]
        assert start(api, tmp_path) == f"{api.url}/#/runs/details/r-0"
        assert api.sent("POST", RUNS) == sent  # of the only such request
    assert sent["display_name"] == NAME
    parameters = sent["runtime_config"]["parameters"]
    assert (parameters["events"], parameters["deploy"], parameters["service"]) == ("e.parquet", True, "shop")
    assert all(headers["authorization"] == "Bearer secret" for _, _, headers, _ in api.received)
