"""Progress of a TrainJob: what the job, its pods, their events and the log of the first node say.

A pod that crashes is no failure: the Job restarts it, and training resumes from the last checkpoint, until the job
itself says that it has failed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from serving.rollout import BROKEN, STUCK_S, condition

UNABLE = BROKEN.keys() - {"CrashLoopBackOff"}  # a container that never starts
QUOTA = "exceeded quota"  # may be free again
TORCHRUN = "torch/distributed/elastic/"  # torchrun's own report on a process that has failed
FIRST_NODE = ("batch.kubernetes.io/job-completion-index", "0")


class TrainState(NamedTuple):
    """The job and its pods, as the API returns them, and why pods were not created."""

    job: dict[str, Any]
    pods: list[dict[str, Any]]
    refusals: list[str]

    @property
    def is_complete(self) -> bool:
        return bool(condition(self.job, "Complete").get("status") == "True")

    @property
    def first_node(self) -> str | None:
        """The name of the pod that logs the progress; a pod that replaces another is newer."""
        label, value = FIRST_NODE
        pods = [pod["metadata"] for pod in self.pods if pod["metadata"].get("labels", {}).get(label) == value]
        newest = max(pods, key=lambda one: one.get("creationTimestamp", ""), default=None)
        return newest and str(newest["name"])


def has_failed(job: dict[str, Any]) -> bool:
    return bool(condition(job, "Failed").get("status") == "True")


def failure(state: TrainState, waited_s: float) -> str | None:
    """Return why the job will not end with a model and what to do; None while it may."""
    if has_failed(state.job):
        failed = condition(state.job, "Failed")
        return f"{failed.get('reason', 'failed')}: {failed.get('message', '')}".rstrip(": ")
    for pod in state.pods:
        for reason, message in waiting(pod):
            if reason in UNABLE:
                return f"pod {pod['metadata']['name']}: {reason}: {message}. {BROKEN[reason]}"
    lasting = [message for message in state.refusals if QUOTA not in message]
    if lasting and not state.pods and waited_s > STUCK_S:
        return f"no pod: {lasting[-1]}. Correct what the message names."
    return None


def waiting(pod: dict[str, Any]) -> list[tuple[str, str]]:
    """Return reason and message of each container that waits."""
    states = [(container.get("state") or {}).get("waiting") for container in containers(pod)]
    return [(state.get("reason", ""), state.get("message") or "no message") for state in states if state]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


class Crash(NamedTuple):
    finished_at: str
    pod: str
    exit_code: int
    reason: str


def first_crash(state: TrainState) -> Crash | None:
    """Return the crash that came first: those of the other nodes follow from it."""
    crashes = []
    for pod in state.pods:
        for container in containers(pod):
            ended = (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get(
                "terminated"
            )
            if ended and ended["exitCode"]:
                name, reason = pod["metadata"]["name"], ended.get("reason", "Error")
                crashes.append(Crash(ended.get("finishedAt", ""), name, ended["exitCode"], reason))
    return min(crashes, default=None)


def progress(state: TrainState) -> str:
    """Return one line on what the job waits for, or how many of its pods run."""
    suspended, num_nodes = condition(state.job, "Suspended"), state.job["spec"]["trainer"].get("numNodes", 1)
    if suspended.get("status") == "True":
        return f"suspended: {suspended.get('message', 'no message')}"
    if not state.pods:
        return f"no pod yet: {state.refusals[-1] if state.refusals else 'Kubeflow Trainer has not started the job'}"
    for pod in state.pods:
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            return f"pod {pod['metadata']['name']} waits for a node: {scheduled.get('message', 'no message')}"
    num_running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in state.pods)
    return f"{num_running} of {num_nodes} pods run"


def new_lines(log: Sequence[str], last: str) -> list[str]:
    """Return the lines after `last`, or all if it is no longer among them; each line begins with its own time.

    >>> new_lines(["9:01 a", "9:02 b", "9:03 b"], "9:02 b"), new_lines(["9:04 c"], "9:03 b")
    (['9:03 b'], ['9:04 c'])
    """
    return list(log[log.index(last) + 1 :] if last in log else log)


def last_words(log: Sequence[str]) -> str:
    """Return the last line of the training itself.

    >>> last_words(["step 1", "InputError: no data", "E1 /torch/distributed/elastic/x.py] failed", "Traceback", "==="])
    'InputError: no data'
    """
    words = "the log is empty"
    for line in log:
        if TORCHRUN in line:
            break
        words = line.strip() or words
    return words
