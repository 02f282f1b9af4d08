"""Roll-out: what the Deployment and the pods of an InferenceService say about a new release.

The service's own conditions do not tell: KServe 0.20 in Standard mode copies the Deployment's `observedGeneration` into
its status, stays Ready while the pods of the release before answer, and does not report a pod that crashes. So the
predictor's Deployment is read as `kubectl rollout status` reads it, and the pods for the reason why they do not start.
"""

from typing import Any, NamedTuple

URI_ANNOTATION = (
    "internal.serving.kserve.io/storage-initializer-sourceuri"  # of Deployment and pods, KServe 0.15 to 0.20
)
REFUSED = {"BlockedByFailedLoad", "InvalidSpec"}
# Kubernetes tries again, but only another image, secret or bundle helps.
BROKEN = {
    "CrashLoopBackOff": "Read its log, correct the release, and deploy again.",
    "ImagePullBackOff": "Correct the image's name or the pull secret.",
    "InvalidImageName": "Correct the image's name.",
    "CreateContainerConfigError": "Create the missing Secret or ConfigMap.",
}
NUM_SILENT_RESTARTS = 3  # after which a crash that says nothing is reported
GRACE_S = 10.0  # KServe needs seconds to read a new spec; a refusal that stays is of the newest one
STUCK_S = 60.0  # a node may be added, and a quota freed, within this time


class DeployError(RuntimeError):
    """The new pods cannot serve the release, or did not in time; the pods of the release before answer on."""


class State(NamedTuple):
    """InferenceService, predictor Deployment and its pods, as the API returns them; an absent object is empty."""

    service: dict[str, Any]
    deployment: dict[str, Any]
    pods: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return str(self.service["metadata"]["name"])

    @property
    def status(self) -> dict[str, Any]:
        return self.service.get("status") or {}

    @property
    def address(self) -> str:
        return str((self.status.get("address") or self.status)["url"])

    def has(self, storage_uri: str) -> bool:
        """Return whether KServe has written the release into the Deployment."""
        return bool(self.deployment) and uri_of(self.deployment["spec"]["template"]) == storage_uri

    def pods_of(self, storage_uri: str) -> list[dict[str, Any]]:
        return [pod for pod in self.pods if uri_of(pod) == storage_uri]


def uri_of(pod: dict[str, Any]) -> str | None:
    uri: str | None = (pod["metadata"].get("annotations") or {}).get(URI_ANNOTATION)
    return uri


def condition(one: dict[str, Any], name: str) -> dict[str, Any]:
    conditions = (one.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == name), {})


def is_rolled_out(state: State, storage_uri: str) -> bool:
    """Return whether all pods are of this release and available, and the service is ready."""
    if not state.has(storage_uri):
        return False
    deployment, status = state.deployment, state.deployment.get("status") or {}
    updated = status.get("updatedReplicas") or 0
    return (
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and updated >= max(1, deployment["spec"].get("replicas", 1))
        and (status.get("replicas") or 0) == updated == (status.get("availableReplicas") or 0)
        and condition(state.service, "Ready").get("status") == "True"
    )


def failure(state: State, storage_uri: str, waited_s: float) -> str | None:
    """Return why the release will never be served and what to do; None while it may still be."""
    if not state.has(storage_uri):
        return refusal(state) if waited_s > GRACE_S else None
    for pod in state.pods_of(storage_uri):
        broken = broken_container(pod)
        if broken:
            return broken
    return stuck(state, storage_uri) if waited_s > STUCK_S else None


def refusal(state: State) -> str | None:
    """Return why KServe does not write the release into a Deployment."""
    model = state.status.get("modelStatus") or {}
    if model.get("transitionStatus") not in REFUSED:
        return None
    message = (model.get("lastFailureInfo") or {}).get("message", "no message")
    return f"{model['transitionStatus']}: {message}. Correct the release or the ServingRuntime, and deploy again."


def broken_container(pod: dict[str, Any]) -> str | None:
    """Return the state of a container that cannot start, with its last words."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason in BROKEN:
            ended = (container.get("lastState") or {}).get("terminated") or {}
            exit_code = f"exit code {ended['exitCode']}: " if "exitCode" in ended else ""
            last_words = (ended.get("message") or "").strip()
            if exit_code and not last_words and container.get("restartCount", 0) < NUM_SILENT_RESTARTS:
                continue  # the node may not have read them yet; the next crash has others
            words = last_words or waiting.get("message") or "no message"
            return f"pod {pod['metadata']['name']}: {reason}: {exit_code}{words} {BROKEN[reason]}"
    return None


def stuck(state: State, storage_uri: str) -> str | None:
    """Return why a pod is not created (a quota, a policy) or not scheduled."""
    refused = condition(state.deployment, "ReplicaFailure")
    if refused.get("status") == "True":
        return f"no pod: {refused.get('message', '')}. Raise the quota, or correct what the message names."
    for pod in state.pods_of(storage_uri):
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            return (
                f"pod {pod['metadata']['name']}: {scheduled.get('reason')}: {scheduled.get('message', '')}. "
                "Free or add a node, or lower the requests of the ServingRuntime."
            )
    return None


def progress(state: State, storage_uri: str, answer: str) -> str:
    """Return how far the roll-out is; `answer` is the bundle's id or the error of the service, if it was queried."""
    if answer:
        return (
            f"the service answers {answer}. If the folder was replaced after its pods had started, give each release "
            f"its own folder, or run: kubectl rollout restart deployment/{state.name}-predictor"
        )
    status, ready = state.deployment.get("status") or {}, condition(state.service, "Ready")
    pods = f"{status.get('updatedReplicas') or 0} of {status.get('replicas') or 0} pods are of the release"
    seen = pods if state.has(storage_uri) else "KServe has not rolled it out"
    return f"{seen}; {ready.get('reason', 'no condition yet')} {ready.get('message', '')}".rstrip()
