"""Progress: a crash and a full quota are waited for, what no time can mend is a failure."""

from typing import Any

import pytest

from jobs.train_progress import TrainState, failure, first_crash, last_words, progress
from serving.rollout import STUCK_S
from tests.jobs.trainer_api import crashed, ended, node_pod

QUOTA = 'Error creating: pods "x" is forbidden: exceeded quota: all, requested: limits.cpu=4'
POLICY = 'Error creating: pods "x" is forbidden: violates PodSecurity'


def state(*conditions: dict[str, Any], pods: list[dict[str, Any]] | None = None, refusals: tuple[str, ...] = ()):
    job = {"spec": {"trainer": {"numNodes": 2}}, "status": {"conditions": list(conditions)}}
    return TrainState(job, pods or [], list(refusals))


def waiting(reason: str) -> dict[str, Any]:
    return node_pod("n-0", containerStatuses=[{"state": {"waiting": {"reason": reason, "message": "back-off"}}}])


def test_a_crash_is_waited_for_since_the_job_restarts_it():
    assert failure(state(pods=[waiting("CrashLoopBackOff")]), STUCK_S + 1) is None
    assert "ImagePullBackOff" in str(failure(state(pods=[waiting("ImagePullBackOff")]), 0))


def test_a_full_quota_is_waited_for_and_a_policy_is_not():
    assert failure(state(refusals=(QUOTA,)), STUCK_S + 1) is None
    assert failure(state(refusals=(POLICY,)), STUCK_S - 1) is None
    assert "violates PodSecurity. Correct what" in str(failure(state(refusals=(POLICY,)), STUCK_S + 1))
    assert failure(state(pods=[node_pod("n-0")], refusals=(POLICY,)), STUCK_S + 1) is None  # it was mended


def test_a_failed_job_says_why():
    assert failure(state(ended("Failed", "DeadlineExceeded", "too late")), 0) == "DeadlineExceeded: too late"


unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes have a GPU"}


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (state(ended("Suspended", message="queued")), "suspended: queued"),
        (state(refusals=(QUOTA,)), f"no pod yet: {QUOTA}"),
        (state(), "no pod yet: Kubeflow Trainer has not started the job"),
        (state(pods=[node_pod("n-0", conditions=[unscheduled])]), "pod n-0 waits for a node: 0/3 nodes have a GPU"),
        (state(pods=[node_pod("n-0"), node_pod("n-1", phase="Pending")]), "1 of 2 pods run"),
    ],
)
def test_the_progress_is_what_is_waited_for(now: TrainState, line: str):
    assert progress(now) == line


def test_the_newest_first_node_logs_the_progress():
    old, new, other = node_pod("old"), node_pod("new"), node_pod("other", index=1)
    for pod, created in ((old, "2026-11-28T10:00:00Z"), (new, "2026-11-28T10:05:00Z"), (other, "2026-11-28T10:09:00Z")):
        pod["metadata"]["creationTimestamp"] = created
    assert state(pods=[old, new, other]).first_node == "new"
    assert state().first_node is None


def test_the_first_crash_is_the_cause_also_after_a_restart():
    restarted = node_pod(
        "b", containerStatuses=[{"state": {"running": {}}, "lastState": crashed()["containerStatuses"][0]["state"]}]
    )
    later = node_pod("a", **crashed(finished_at="2026-11-28T11:00:00Z"))
    done = node_pod("c", **crashed(exit_code=0, finished_at="2026-11-28T09:00:00Z"))
    crash = first_crash(state(pods=[later, restarted, done]))
    assert crash is not None
    assert (crash.pod, crash.exit_code) == ("b", 1)
    assert first_crash(state(pods=[done])) is None


def test_an_empty_log_is_said():
    assert last_words([]) == "the log is empty"
