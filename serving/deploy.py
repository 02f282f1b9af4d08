"""Deploy: a release folder's URI in, a ready InferenceService and its address out.

The InferenceService is that of serving/manifests with name and storageUri set. ServingRuntime and ServiceAccount belong
to the platform and are installed once, by the chart or kubectl. With server-side apply a second call with the same
release changes nothing; KServe's own client has no such call.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

MANIFEST = Path(__file__).parent / "manifests" / "inferenceservice.yaml"
FIELD_MANAGER = "redrec-pipeline"
# Only a new spec resolves these. KServe 0.20 in Standard mode does not report a crashing pod this way: the wait then
# lasts until the time limit (observed with its own controller).
FAILED = {"BlockedByFailedLoad", "InvalidSpec"}
POLL_S = 2.0
GRACE_S = 10.0  # KServe never counts a refused spec as observed; after this time, the refusal is of the newest spec


class DeployError(RuntimeError):
    """The InferenceService cannot become ready, or did not in time."""


def deploy(storage_uri: str, *, name: str, namespace: str, timeout_s: float) -> str:
    """Apply the InferenceService for the release at `storage_uri` and return its address once it is ready.

    Raises:
        DeployError: KServe refuses the spec, the server cannot load the bundle, or the time limit is reached.
    """
    from kubernetes import client, config, dynamic

    config.load_config()  # the pod's service account, or the kubeconfig
    services = dynamic.DynamicClient(client.ApiClient()).resources.get(
        api_version="serving.kserve.io/v1beta1", kind="InferenceService"
    )
    services.server_side_apply(
        inference_service(storage_uri, name),
        namespace=namespace,
        field_manager=FIELD_MANAGER,
        force_conflicts=True,
    )
    return wait_until_ready(lambda: services.get(name=name, namespace=namespace).to_dict(), timeout_s)


def inference_service(storage_uri: str, name: str) -> dict[str, Any]:
    """Return the manifest for one release.

    >>> inference_service("minio://mlpipeline/v2/release", "redrec")["spec"]["predictor"]["model"]["storageUri"]
    's3://mlpipeline/v2/release'
    """
    manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    manifest["metadata"]["name"] = name
    # Kubeflow Pipelines writes minio:// for its own object store; KServe reads the same objects as s3://.
    manifest["spec"]["predictor"]["model"]["storageUri"] = storage_uri.replace("minio://", "s3://", 1)
    return manifest


def wait_until_ready(
    read: Callable[[], dict[str, Any]], timeout_s: float, poll_s: float = POLL_S, grace_s: float = GRACE_S
) -> str:
    """Return the service's address once the controller has observed the newest spec and it is ready."""
    started = time.monotonic()
    while True:
        service = read()
        status = service.get("status") or {}
        waited_s = time.monotonic() - started
        is_observed = status.get("observedGeneration", 0) >= service["metadata"]["generation"]
        if is_observed and condition(status, "Ready").get("status") == "True":
            return str((status.get("address") or status)["url"])
        model = status.get("modelStatus") or {}
        if model.get("transitionStatus") in FAILED and (is_observed or waited_s > grace_s):
            failure = (model.get("lastFailureInfo") or {}).get("message", "no message")
            raise DeployError(
                f"InferenceService {service['metadata']['name']}: {model['transitionStatus']}: {failure}. "
                "Look at the predictor pod's log, correct the release or the ServingRuntime, and deploy again."
            )
        if waited_s > timeout_s:
            ready = condition(status, "Ready")
            raise DeployError(
                f"InferenceService {service['metadata']['name']} was not ready after {timeout_s:.0f} s: "
                f"{ready.get('reason', 'no condition yet')} {ready.get('message', '')}".rstrip()
            )
        time.sleep(poll_s)


def condition(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next((c for c in status.get("conditions") or [] if c["type"] == name), {})
