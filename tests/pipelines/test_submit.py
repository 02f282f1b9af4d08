"""Submit against a recorded API: what is sent has the API's schema, and each refusal is a sentence."""

from pathlib import Path
from typing import Any

import kfp_server_api
import pytest

from jobs.pipelines_api import Run, Target, connect
from pipelines.compile import compile_pipeline
from pipelines.progress import RunError
from pipelines.submit import follow, parameters_of, start
from redrec.config import InputError
from tests.pipelines.kfp_api import SUCCESS, KfpApi, kfp_api, run_in
from tests.pipelines.test_compile import parse

RUNS, EXPERIMENTS = "/apis/v2beta1/runs", "/apis/v2beta1/experiments"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_pipeline("monitor", tmp_path_factory.mktemp("submit") / "monitor.yaml")


GIVEN = ["events=s3://b/e.parquet", "items=i.csv", "retrain=true", "deploy_timeout_s=60", 'recipe={"seed": 1}']


def started(api: KfpApi, package: Path, **options: str) -> Run:
    target = Target(api.url, **options)
    return start(connect(target), target, package, parameters_of(package, GIVEN), "first")


def checked(cls: type[Any], content: dict[str, Any]) -> None:
    """Raise if a field is not one of the API's model, or has another type."""
    assert set(content) <= set(cls.attribute_map.values())
    cls(**{name: content[key] for name, key in cls.attribute_map.items() if key in content})


def test_what_is_sent_has_the_schema_of_the_api(package: Path):
    with kfp_api() as api:
        run = started(api, package, token="secret")
    assert run == Run("r-1", f"{api.url}/#/runs/details/r-1")
    experiment, sent = api.sent("POST", EXPERIMENTS), api.sent("POST", RUNS)
    checked(kfp_server_api.V2beta1Experiment, experiment)
    checked(kfp_server_api.V2beta1Run, sent)
    checked(kfp_server_api.V2beta1RuntimeConfig, sent["runtime_config"])
    assert (experiment["display_name"], sent["experiment_id"], sent["display_name"]) == ("redrec", "e-1", "first")
    assert parse(sent["pipeline_spec"]["pipeline_spec"]).pipeline_info.name == "redrec-monitor"
    assert sent["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]
    assert sent["runtime_config"]["parameters"] == {
        "events": "s3://b/e.parquet",
        "items": "i.csv",
        "retrain": True,
        "deploy_timeout_s": 60,
        "recipe": '{"seed": 1}',
    }
    assert all(headers["authorization"] == "Bearer secret" for _, _, headers, _ in api.received)


def test_a_profile_and_a_cookie_are_sent(package: Path):
    with kfp_api() as api:
        started(api, package, namespace="team-a", experiment="nightly", cookie="authservice_session=x")
    experiment = api.sent("POST", EXPERIMENTS)
    assert (experiment["namespace"], experiment["display_name"]) == ("team-a", "nightly")
    assert all(headers["cookie"] == "authservice_session=x" for _, _, headers, _ in api.received)


def followed(runs: list[Any]) -> tuple[str, list[str]]:
    lines: list[str] = []
    with kfp_api(runs) as api:
        target = Target(api.url)
        return follow(connect(target), target, Run("r-1", f"{api.url}/#/run"), lines.append, poll_s=0), lines


def test_each_change_of_a_step_is_said_once():
    assert followed([SUCCESS[0], SUCCESS[1], *SUCCESS[1:]]) == (
        "SUCCEEDED",
        ["prepare-data: running", "prepare-data: succeeded"],
    )


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (run_in("FAILED", "FAILED", "step failed: no memory"), "has failed: step failed: no memory.*/#/run"),
        (run_in("FAILED", "FAILED"), "has failed: prepare-data"),
        (run_in("CANCELED"), "has canceled: no reason given"),
    ],
)
def test_a_run_that_does_not_succeed_is_an_error(last: dict[str, Any], message: str):
    with pytest.raises(RunError, match=message):
        followed([run_in("RUNNING", "RUNNING"), last])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["events=e"], "needs items. Give each as --parameter items=VALUE"),
        (["evnts=e"], "the names are .*events"),
        (["events=e", "items=i", "retrain=yes"], "retrain=yes: allowed is true or false"),
        (["events=e", "items=i", "deploy_timeout_s=1m"], "allowed is a whole number"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_sent(given: list[str], message: str, package: Path):
    with pytest.raises(InputError, match=message):
        parameters_of(package, given)


def test_what_is_no_pipeline_is_refused(tmp_path: Path):
    (tmp_path / "values.yaml").write_text("serving: {}\n")
    with pytest.raises(InputError, match="no compiled pipeline"):
        parameters_of(tmp_path / "values.yaml", [])
    with pytest.raises(InputError, match="redrec compile --out"):
        parameters_of(tmp_path / "absent.yaml", [])
