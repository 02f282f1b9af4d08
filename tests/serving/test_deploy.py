"""Waiting for an InferenceService: only the newest spec counts, and a spec that cannot become ready ends it."""

from typing import Any

import pytest

from serving.deploy import DeployError, inference_service, wait_until_ready


def state(ready: str, *, generation: int = 2, observed: int = 2, transition: str = "InProgress") -> dict[str, Any]:
    """An InferenceService as KServe 0.20 reports it."""
    return {
        "metadata": {"name": "redrec", "generation": generation},
        "status": {
            "observedGeneration": observed,
            "address": {"url": "http://redrec.default.svc.cluster.local"},
            "conditions": [{"type": "Ready", "status": ready, "reason": "MinimumReplicasUnavailable"}],
            "modelStatus": {"transitionStatus": transition, "lastFailureInfo": {"message": "exit code 2"}},
        },
    }


def wait(*states: dict[str, Any], timeout_s: float = 60) -> tuple[str, int]:
    """Return the address and how many of the states were not read."""
    left = iter(states)
    return wait_until_ready(lambda: next(left), timeout_s, poll_s=0), len(list(left))


def test_ready_of_the_spec_before_does_not_count():
    url, unread = wait(state("True", observed=1), state("False"), state("True"))
    assert (url, unread) == ("http://redrec.default.svc.cluster.local", 0)


def test_a_service_that_the_controller_has_not_seen_yet_is_waited_for():
    assert wait({"metadata": {"name": "redrec", "generation": 1}}, state("True"))[1] == 0


@pytest.mark.parametrize("transition", ["BlockedByFailedLoad", "InvalidSpec"])
def test_a_spec_that_cannot_become_ready_ends_the_wait(transition: str):
    with pytest.raises(DeployError, match=f"{transition}: exit code 2"):
        wait(state("False", transition=transition), state("True"))


def test_a_failure_of_the_spec_before_does_not_count():
    assert wait(state("False", observed=1, transition="BlockedByFailedLoad"), state("True"))[1] == 0


def test_a_refused_spec_is_never_observed_and_still_ends_the_wait():
    states = iter([state("Unknown", observed=1, transition="InvalidSpec")])
    with pytest.raises(DeployError, match="InvalidSpec"):
        wait_until_ready(lambda: next(states), 60, poll_s=0, grace_s=-1)


def test_the_time_limit_names_the_last_condition():
    with pytest.raises(DeployError, match="MinimumReplicasUnavailable"):
        wait(state("False"), state("False"), timeout_s=-1)


def test_the_manifest_names_the_release_and_the_service():
    manifest = inference_service("s3://releases/7", "challenger")
    assert manifest["metadata"]["name"] == "challenger"
    assert manifest["spec"]["predictor"]["model"]["storageUri"] == "s3://releases/7"
