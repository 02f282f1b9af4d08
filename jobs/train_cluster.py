"""Cluster: a TrainJob in the namespace of a pipeline step, and all that is checked before anything is changed.

The job is created strictly: an API that does not know a field would drop it without a word, the claim among them.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from jobs.train_job import GROUP, NODE, RESOURCE, VERSION, TrainNodes
from jobs.train_progress import TrainState, has_failed
from redrec.config import InputError
from serving.kubernetes_api import api_message, right_attributes

# Verb, group and resource: what a step that trains by a TrainJob calls.
RIGHTS = (
    ("get", "", "persistentvolumeclaims"),
    ("list", "", "resourcequotas"),
    ("create", "", "serviceaccounts"),
    ("get", GROUP, RESOURCE),
    ("create", GROUP, RESOURCE),
    ("delete", GROUP, RESOURCE),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
    ("list", "", "events"),
)
MINIMUM = "2.2"  # the first with runtimePatches
INSTALL = (
    f"Install Kubeflow Trainer {MINIMUM} or newer: kubectl apply --server-side -k "
    "'https://github.com/kubeflow/trainer.git/manifests/overlays/manager?ref=v2.2.1'"
)
JOB_LABEL = "jobset.sigs.k8s.io/jobset-name"  # of the pods; Trainer names the JobSet as the TrainJob
SHARED = "ReadWriteMany"
LOG_LINES = 200
DELETE_S = 120.0
POLL_S = 2.0


class TrainJobError(RuntimeError):
    """The job failed, or its pods cannot start; the message holds their last words."""


class TrainCluster:
    def __init__(self, api: Any, namespace: str) -> None:
        from kubernetes import client

        self.core, self.custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
        self.reviews, self.namespace = client.AuthorizationV1Api(api), namespace
        self.where = {"group": GROUP, "version": VERSION, "namespace": namespace, "plural": RESOURCE}

    def check(self, manifest: dict[str, Any], nodes: TrainNodes, gpu_resource: str) -> None:
        """Raise InputError if the job could not be created, followed or ever be given its pods."""
        self._check_rights()
        self._check_claim(nodes)
        for quota in self.core.list_namespaced_resource_quota(self.namespace).items:
            if not quota.spec.scopes and not quota.spec.scope_selector:
                check_quota(quota.metadata.name, quota.spec.hard or {}, nodes, gpu_resource)
        self._create(manifest, dry_run="All")

    def _check_rights(self) -> None:
        missing = [right for right in RIGHTS if not self.may(*right)]
        if missing:
            names = ", ".join(f"{verb} {resource}" for verb, _, resource in missing)
            verb, group, resource = missing[0]
            full = f"{resource}.{group}" if group else resource
            raise InputError(
                f"The run's ServiceAccount may not: {names}. Give each right by a Role that is bound to it, as in: "
                f"kubectl create role redrec-train --verb={verb} --resource={full} -n {self.namespace}"
            )

    def may(self, verb: str, group: str, resource: str) -> bool:
        spec = {"resourceAttributes": right_attributes(self.namespace, verb, group, resource)}
        return bool(self.reviews.create_self_subject_access_review({"spec": spec}).status.allowed)

    def _check_claim(self, nodes: TrainNodes) -> None:
        from kubernetes.client import ApiException

        try:
            claim = self.core.read_namespaced_persistent_volume_claim(nodes.claim, self.namespace)
        except ApiException as error:
            if error.status != 404:
                raise
            raise InputError(
                f"Namespace {self.namespace} has no PersistentVolumeClaim {nodes.claim}. Create it, or correct "
                f"train_job.claim: kubectl get pvc -n {self.namespace}"
            ) from error
        modes = claim.spec.access_modes
        if SHARED not in modes and (nodes.num_nodes > 1 or modes == ["ReadWriteOncePod"]):
            raise InputError(
                f"Claim {nodes.claim} is {', '.join(modes)}, and the step and {nodes.num_nodes} nodes mount it at "
                f"once: give a claim that is {SHARED}."
            )

    def _create(self, manifest: dict[str, Any], **options: str) -> None:
        from kubernetes.client import ApiException

        try:
            self.custom.create_namespaced_custom_object(
                **self.where, body=manifest, field_validation="Strict", **options
            )
        except ApiException as error:
            if error.status == 409:  # an earlier try of the step has created it
                return
            if error.status == 404:
                raise InputError(f"The cluster has no TrainJob ({GROUP}/{VERSION}). {INSTALL}") from error
            if "runtimePatches" in api_message(error.body, error.reason):
                raise InputError(
                    f"Kubeflow Trainer is older than {MINIMUM}: its TrainJob has no runtimePatches. {INSTALL}"
                ) from error
            raise

    def start(self, account: dict[str, Any], manifest: dict[str, Any]) -> None:
        """Create the job unless there is one of its name that has not failed."""
        from kubernetes.client import ApiException

        name = manifest["metadata"]["name"]
        try:
            self.core.create_namespaced_service_account(self.namespace, account)
        except ApiException as error:
            if error.status != 409:  # it is there
                raise
        job = self.job(name)
        if job is not None and has_failed(job):
            self.delete(name)
            job = None
        if job is None:
            self._create(manifest)

    def job(self, name: str) -> dict[str, Any] | None:
        from kubernetes.client import ApiException

        try:
            job: dict[str, Any] = self.custom.get_namespaced_custom_object(**self.where, name=name)
        except ApiException as error:
            if error.status != 404:
                raise
            return None
        return job

    def delete(self, name: str) -> None:
        """Delete the job with its pods, and wait until they are gone."""
        self.custom.delete_namespaced_custom_object(**self.where, name=name, propagation_policy="Foreground")
        deadline = time.monotonic() + DELETE_S
        while self.job(name) is not None:
            if time.monotonic() > deadline:
                raise TrainJobError(
                    f"TrainJob {name} is not gone after {DELETE_S:.0f} s. Look at what holds it: "
                    f"kubectl describe trainjob {name} -n {self.namespace}"
                )
            time.sleep(POLL_S)

    def stop(self, name: str) -> None:
        """Delete the job unless it has ended: nobody follows it any more."""
        job = self.job(name)
        if job is not None and not has_failed(job):
            self.delete(name)

    def state(self, name: str) -> TrainState:
        job = self.job(name)
        if job is None:
            raise TrainJobError("it was deleted while it was followed.")
        pods = self.core.list_namespaced_pod(self.namespace, label_selector=f"{JOB_LABEL}={name}")
        plain = self.core.api_client.sanitize_for_serialization(pods)["items"]
        return TrainState(job, plain, [] if plain else self._refusals(name))

    def _refusals(self, name: str) -> list[str]:
        """Return why the Jobs of the nodes could not create a pod; only their events say it."""
        events = self.core.list_namespaced_event(self.namespace, field_selector="reason=FailedCreate").items
        return [event.message for event in events if (event.involved_object.name or "").startswith(f"{name}-")]

    def log(self, pod: str) -> list[str]:
        """Return the last lines of a pod, each after its time; none while its container waits."""
        from kubernetes.client import ApiException

        try:
            text = self.core.read_namespaced_pod_log(
                pod, self.namespace, container=NODE, tail_lines=LOG_LINES, timestamps=True
            )
        except ApiException as error:
            if error.status not in (400, 404):  # it has not started, or is gone
                raise
            return []
        return str(text).splitlines()


def is_new_enough(openapi: dict[str, Any]) -> bool:
    """Return whether the API's schema of TrainJob has the field that this project needs; it may not be there yet.

    >>> spec = {"properties": {"podTemplateOverrides": {}}}
    >>> is_new_enough({"components": {"schemas": {"v1alpha1.TrainJob": {"properties": {"spec": spec}}}}})
    False
    """
    schemas = openapi["components"]["schemas"]
    jobs = [schema for name, schema in schemas.items() if name.endswith(".TrainJob")]
    return all("runtimePatches" in job["properties"]["spec"]["properties"] for job in jobs)


def check_quota(quota: str, hard: Mapping[str, str], nodes: TrainNodes, gpu_resource: str) -> None:
    """Raise InputError if all of a quota is less than the nodes need; one that others use now is waited for.

    >>> nodes = TrainNodes(claim="data", num_nodes=2, memory="16Gi")
    >>> check_quota("all", {"limits.memory": "16Gi"}, nodes, "nvidia.com/gpu")
    Traceback (most recent call last):
    redrec.config.InputError: Quota all allows 16Gi limits.memory, and 2 nodes need 32Gi. Raise it, or lower train_job.
    """
    from kubernetes.utils.quantity import parse_quantity

    each = {"cpu": str(nodes.cpu), "memory": nodes.memory, "pods": "1", gpu_resource: str(nodes.num_gpus)}
    for name, allowed in hard.items():
        resource = name.removeprefix("requests.").removeprefix("limits.")
        if resource not in each:
            continue
        needed = parse_quantity(each[resource]) * nodes.num_nodes
        if needed > parse_quantity(allowed):
            raise InputError(
                f"Quota {quota} allows {allowed} {name}, and {nodes.num_nodes} nodes need {readable(needed)}. "
                "Raise it, or lower train_job."
            )


def readable(amount: Decimal) -> str:
    return f"{amount / 2**30:f}Gi" if amount >= 2**30 else f"{amount:f}"
