"""Deployment: it owns one field, and it waits for the bundle's own answer."""

from pathlib import Path

import pytest

from redrec.config import InputError
from serving.deploy import (
    Release,
    inference_service,
    only_storage_uri,
    wait_until_served,
)
from serving.rollout import DeployError, State
from tests.bundles import tiny_bundle
from tests.serving.test_rollout import NEW, OLD, deployment, pod, service, waiting

RELEASE = Release(NEW, "b1", "ads")
BEFORE, DONE = State(service(), deployment(OLD), []), State(service(), deployment(), [])


def served(states: list[State], answers: list[str], timeout_s: float = 60) -> str:
    """Wait over these states and answers; all of them are used."""
    left, given = iter(states), iter(answers)

    def query_bundle(url: str, model_name: str, scenario: str) -> str:
        answer = next(given)
        if answer.startswith("error"):
            raise InputError(answer)
        if answer == "down":
            raise ConnectionError(answer)
        return answer

    url = wait_until_served(lambda: next(left), RELEASE, timeout_s, query_bundle=query_bundle, poll_s=0)
    assert (list(left), list(given)) == ([], [])
    return url


def test_the_release_before_does_not_count():
    assert served([BEFORE, BEFORE, DONE], ["b1"]) == "http://redrec-predictor.default.svc.cluster.local"


def test_the_bundle_itself_must_answer():
    assert served([DONE] * 4, ["down", "error: no route yet", "b0", "b1"])


def test_a_crashing_pod_ends_the_wait_though_the_old_one_answers():
    crashing = pod(**waiting("CrashLoopBackOff", exitCode=2, message="no features"))
    with pytest.raises(DeployError, match="redrec: pod redrec-1: CrashLoopBackOff: exit code 2: no features"):
        served([BEFORE, State(service(), deployment(updatedReplicas=1), [crashing])], [])


def test_the_time_limit_says_how_far_it_is():
    with pytest.raises(DeployError, match="not served after -1 s: the service answers b0"):
        served([DONE], ["b0"], timeout_s=-1)
    with pytest.raises(DeployError, match="KServe has not rolled it out"):
        served([BEFORE], [], timeout_s=-1)


def test_a_release_is_read_from_its_folder(tmp_path: Path):
    bundle = tiny_bundle(tmp_path)
    release = Release.read(tmp_path, "minio://mlpipeline/v2/release")
    assert release == ("s3://mlpipeline/v2/release", bundle.manifest.id, bundle.manifest.scenarios[0])


def test_a_folder_without_bundle_is_no_release(tmp_path: Path):
    with pytest.raises(InputError, match="bundle.json"):
        Release.read(tmp_path, "s3://releases/7")


def test_the_manifest_names_the_release_and_the_service():
    manifest = inference_service("s3://releases/7", "challenger")
    assert manifest["metadata"]["name"] == "challenger"
    assert manifest["spec"]["predictor"]["model"]["storageUri"] == "s3://releases/7"
    assert only_storage_uri(manifest)["spec"] == {"predictor": {"model": {"storageUri": "s3://releases/7"}}}
