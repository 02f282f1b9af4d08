"""Kubeflow Pipelines' API, recorded: each refusal is a sentence, and a listed pipeline is started once."""

import pytest

from jobs import pipelines_api
from jobs.pipelines_api import PipelinesApiError, Run, Target, connect, start_listed
from redrec.config import InputError
from tests.pipelines.kfp_api import KfpApi, kfp_api, run_in

NAME = "retrain: ads category drifted in 2 of 3 windows"
RUNS = "/apis/v2beta1/runs"
LISTED = [{"pipeline_id": "p-7", "display_name": "redrec-train"}]
VERSIONS = [{"pipeline_id": "p-7", "pipeline_version_id": "v-9"}]


def started(api: KfpApi, **options: str) -> Run:
    target = Target(api.url, **options)
    return start_listed(connect(target), target, "redrec-train", {"events": "e.parquet", "deploy": True}, NAME)


def test_the_newest_version_of_a_listed_pipeline_starts_under_the_name():
    with kfp_api() as api:
        api.pipelines, api.versions = LISTED, VERSIONS
        run = started(api, namespace="team-a", token="secret")
    sent = api.sent("POST", RUNS)
    assert run == Run("r-1", f"{api.url}/#/runs/details/r-1")
    assert sent["pipeline_version_reference"] == {"pipeline_id": "p-7", "pipeline_version_id": "v-9"}
    assert (sent["display_name"], sent["experiment_id"]) == (NAME, "e-1")
    assert sent["runtime_config"]["parameters"] == {"events": "e.parquet", "deploy": True}
    (query,) = [path for _, path, _, _ in api.received if path.startswith("/apis/v2beta1/pipelines/p-7/versions")]
    assert "sort_by=created_at+desc" in query


@pytest.mark.parametrize(("state", "num_started"), [("RUNNING", 0), ("SUCCEEDED", 0), ("FAILED", 1), ("CANCELED", 1)])
def test_a_run_of_the_name_that_did_not_fail_is_the_one(state: str, num_started: int):
    with kfp_api() as api:
        api.pipelines, api.versions = LISTED, VERSIONS
        api.named = [{**run_in(state), "run_id": "r-0", "display_name": NAME}]
        run = started(api)
    assert run.id == ("r-1" if num_started else "r-0")
    assert len([path for method, path, _, _ in api.received if (method, path) == ("POST", RUNS)]) == num_started


def test_a_pipeline_that_is_not_listed_is_said_with_how_to_list_it():
    with (
        kfp_api() as api,
        pytest.raises(InputError, match="lists no pipeline redrec-train. Register it: redrec compile"),
    ):
        started(api)


@pytest.mark.parametrize(
    ("refuses", "message"),
    [
        ((401, ""), "KFP_TOKEN or KFP_COOKIE"),
        (
            (403, '{"message": "cannot create runs."}'),
            "namespace team-a: cannot create runs. Ask its owner for the role",
        ),
        ((404, "no page"), "comes before /apis/v2beta1"),
        ((500, '{"error": "no database"}'), "answers 500. It failed: no database"),
        ((503, ""), "answers 503.*pod ml-pipeline"),
        ((200, "<html>log in</html>"), "perhaps a page to log in"),
    ],
)
def test_a_refusal_is_a_sentence(refuses: tuple[int, str], message: str):
    with kfp_api(refuses=refuses) as api, pytest.raises(PipelinesApiError, match=message):
        started(api, namespace="team-a")


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pipelines_api, "REQUEST_S", 0.1)
    with kfp_api(hangs_s=0.5) as api, pytest.raises(PipelinesApiError, match="did not answer within"):
        started(api)


def test_a_server_that_is_not_there_cannot_be_reached():
    with kfp_api() as api:
        pass
    with pytest.raises(PipelinesApiError, match="cannot be reached.*port-forward"):
        started(api)
