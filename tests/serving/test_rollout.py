"""A roll-out, from objects as Kubernetes 1.36 and KServe 0.20 report them: only the pods of the new release count."""

from typing import Any

import pytest

from serving.rollout import GRACE_S, STUCK_S, URI_ANNOTATION, State, broken_container, failure, is_rolled_out, progress

NEW, OLD = "pvc://runs/new", "pvc://runs/old"


def service(ready: str = "True", transition: str = "") -> dict[str, Any]:
    """A service is ready as long as the pods of the release before answer."""
    return {
        "metadata": {"name": "redrec", "generation": 7},
        "status": {
            "observedGeneration": 1,  # the Deployment's own
            "address": {"url": "http://redrec-predictor.default.svc.cluster.local"},
            "conditions": [{"type": "Ready", "status": ready, "reason": "MinimumReplicasUnavailable"}],
            "modelStatus": {"transitionStatus": transition, "lastFailureInfo": {"message": "no runtime"}},
        },
    }


def deployment(uri: str = NEW, *, observed: int = 2, **status: Any) -> dict[str, Any]:
    rolled_out = {"observedGeneration": observed, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    template = {"metadata": {"annotations": {URI_ANNOTATION: uri}}}
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": 2, "template": template},
        "status": rolled_out | status,
    }


def pod(uri: str = NEW, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "redrec-1", "annotations": {URI_ANNOTATION: uri}}, "status": status}


def waiting(reason: str, kind: str = "containerStatuses", **ended: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": "back-off"}}
    return {kind: [{"name": "kserve-container", "state": state, "lastState": {"terminated": ended} if ended else {}}]}


def test_a_crash_without_a_word_is_waited_for_until_the_third_restart():
    crashing = waiting("CrashLoopBackOff", exitCode=1)
    state = State(service(), deployment(), [pod(**crashing)])
    crashing["containerStatuses"][0]["restartCount"] = 2
    assert failure(state, NEW, 0) is None
    crashing["containerStatuses"][0]["restartCount"] = 3
    assert "CrashLoopBackOff: exit code 1: back-off" in str(failure(state, NEW, 0))


def test_a_roll_out_is_complete_when_all_pods_are_new_and_available():
    assert is_rolled_out(State(service(), deployment(), []), NEW)


@pytest.mark.parametrize(
    "unfinished",
    [
        State(service(), {}, []),
        State(service(), deployment(OLD), []),
        State(service(), deployment(observed=1), []),
        State(service(), deployment(updatedReplicas=1), []),
        State(service(), deployment(replicas=3), []),
        State(service(), deployment(availableReplicas=None), []),
        State(service(ready="False"), deployment(), []),
    ],
    ids=[
        "no Deployment",
        "the release before",
        "not observed",
        "one pod left",
        "an old pod",
        "not available",
        "not ready",
    ],
)
def test_a_ready_service_alone_is_no_roll_out(unfinished: State):
    assert not is_rolled_out(unfinished, NEW)
    assert failure(unfinished, NEW, waited_s=0) is None


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
def test_a_crashing_pod_ends_the_wait_with_its_last_words(kind: str):
    words = "serving: Feature folder has no feature_store.yaml.\n"
    state = State(service(), deployment(), [pod(**waiting("CrashLoopBackOff", kind, exitCode=2, message=words))])
    reason = failure(state, NEW, waited_s=0)
    assert reason is not None
    assert reason.startswith(
        "pod redrec-1: CrashLoopBackOff: exit code 2: serving: Feature folder has no feature_store"
    )


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"])
def test_a_container_that_cannot_be_created_ends_the_wait(reason: str):
    assert f"{reason}: back-off" in str(broken_container(pod(**waiting(reason))))


def test_a_starting_container_and_a_crash_of_the_release_before_do_not_count():
    crashing = pod(OLD, **waiting("CrashLoopBackOff", exitCode=1))
    starting = pod(**waiting("ContainerCreating"))
    assert failure(State(service(), deployment(), [crashing, starting]), NEW, waited_s=STUCK_S + 1) is None


@pytest.mark.parametrize(
    ("deployed", "pods", "words"),
    [
        (
            deployment(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}]),
            [],
            "exceeded quota: small",
        ),
        (
            deployment(),
            [
                pod(
                    conditions=[
                        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}
                    ]
                )
            ],
            "pod redrec-1: Unschedulable: 0/3",
        ),
    ],
    ids=["quota", "no node"],
)
def test_a_pod_without_quota_or_node_gets_a_minute(deployed: dict[str, Any], pods: list[dict[str, Any]], words: str):
    state = State(service(), deployed, pods)
    assert failure(state, NEW, waited_s=STUCK_S) is None
    assert words in str(failure(state, NEW, waited_s=STUCK_S + 1))


def test_a_refused_spec_ends_the_wait_after_kserve_had_time_to_read_it():
    state = State(service("False", "InvalidSpec"), {}, [])
    assert failure(state, NEW, waited_s=GRACE_S) is None
    assert "InvalidSpec: no runtime" in str(failure(state, NEW, waited_s=GRACE_S + 1))


def test_progress_names_the_pods_or_the_answer():
    assert progress(State(service(), deployment(updatedReplicas=1), []), NEW, "").startswith("1 of 2 pods")
    assert progress(State(service("False"), {}, []), NEW, "").endswith("MinimumReplicasUnavailable")
    assert "rollout restart deployment/redrec-predictor" in progress(State(service(), deployment(), []), NEW, "b0")
