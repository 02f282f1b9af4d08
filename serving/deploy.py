"""Deploy: a release in, the address of a service that answers with its bundle out.

An existing InferenceService gets a new `storageUri` and keeps everything else, which belongs to the chart, kubectl or
its operator; where there is none, that of serving/manifests is created. ServingRuntime and ServiceAccount belong to the
platform and are installed once. With server-side apply a second call with the same release changes nothing; KServe's
own client has no such call.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from redrec.bundle.manifest import read_manifest
from redrec.config import InputError
from redrec.folders import RunFolder
from serving.client import query
from serving.kubernetes_api import own_namespace, plain_refusals
from serving.rollout import DeployError, State, failure, is_rolled_out, progress

MANIFEST = Path(__file__).parent / "manifests" / "inferenceservice.yaml"
FIELD_MANAGER = "redrec-deploy"
USER_ID = "redrec-deploy"  # of the query that asks for the bundle's id; nobody has this history
KSERVE = "serving.kserve.io/v1beta1"
POLL_S = 2.0
# Verb, group and resource: what a deployment calls, and all that the chart's Role for it allows.
RIGHTS = (
    ("get", "serving.kserve.io", "inferenceservices"),
    ("create", "serving.kserve.io", "inferenceservices"),
    ("patch", "serving.kserve.io", "inferenceservices"),
    ("get", "apps", "deployments"),
    ("list", "", "pods"),
)


class Release(NamedTuple):
    """A run folder in an object store or on a claim."""

    storage_uri: str
    bundle_id: str
    scenario: str  # one of the bundle's

    @staticmethod
    def read(folder: Path, uri: str) -> "Release":
        """Return the release of a run folder; Kubeflow Pipelines writes minio:// for what KServe reads as s3://."""
        manifest = read_manifest(RunFolder(folder).bundle)
        return Release(uri.replace("minio://", "s3://", 1), manifest.id, manifest.scenarios[0])


def deploy(release: Release, *, name: str, timeout_s: float, namespace: str | None = None) -> str:
    """Serve the release by the InferenceService `name`, and return its address once it answers with the release.

    Without `namespace` it is the pod's own.

    Raises:
        InputError: KServe, the namespace or a right is missing; nothing was changed.
        DeployError: The new pods cannot start or serve another bundle, or the time limit is reached.
    """
    from kubernetes import client, config

    namespace = namespace or own_namespace()
    config.load_config()  # the pod's service account, or the kubeconfig
    with plain_refusals(
        f"Give its ServiceAccount the Role of the chart (values `deployers`) in namespace {namespace}."
    ):
        cluster = Cluster(client.ApiClient(), namespace)
        cluster.serve(release.storage_uri, name)
        return wait_until_served(lambda: cluster.state(name), release, timeout_s)


class Cluster:
    """The four objects that a deployment reads or writes; `helm/redrec/templates/deployer.yaml` has its rights."""

    def __init__(self, api: Any, namespace: str) -> None:
        self.client, self.namespace = require_kserve(api), namespace

    def resource(self, api_version: str, kind: str) -> Any:
        return self.client.resources.get(api_version=api_version, kind=kind)

    def read(self, api_version: str, kind: str, name: str) -> dict[str, Any] | None:
        from kubernetes.dynamic.exceptions import NotFoundError

        try:
            result: dict[str, Any] = self.resource(api_version, kind).get(name=name, namespace=self.namespace).to_dict()
        except NotFoundError:
            return None
        return result

    def serve(self, storage_uri: str, name: str) -> None:
        """Set the storageUri of the service, or create the service."""
        services = self.resource(KSERVE, "InferenceService")
        manifest = inference_service(storage_uri, name)
        if self.read(KSERVE, "InferenceService", name) is None:
            services.create(manifest, namespace=self.namespace, field_manager=FIELD_MANAGER)
        else:
            owned = only_storage_uri(manifest)
            services.server_side_apply(
                owned, namespace=self.namespace, field_manager=FIELD_MANAGER, force_conflicts=True
            )

    def state(self, name: str) -> State:
        pods = self.resource("v1", "Pod").get(
            namespace=self.namespace, label_selector=f"serving.kserve.io/inferenceservice={name}"
        )
        return State(
            self.read(KSERVE, "InferenceService", name) or {},
            self.read("apps/v1", "Deployment", f"{name}-predictor") or {},
            pods.to_dict()["items"],
        )


def require_kserve(api: Any) -> Any:
    """Return a dynamic client of a cluster that has KServe.

    Raises:
        InputError: The custom resource InferenceService does not exist.
    """
    from kubernetes import dynamic
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

    client = dynamic.DynamicClient(api)
    try:
        client.resources.get(api_version=KSERVE, kind="InferenceService")
    except ResourceNotFoundError as error:
        raise InputError(
            f"The cluster has no InferenceService ({KSERVE}). Install KServe 0.15 or newer: "
            "https://kserve.github.io/website"
        ) from error
    return client


def inference_service(storage_uri: str, name: str) -> dict[str, Any]:
    """Return the manifest for one release."""
    manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    manifest["metadata"]["name"] = name
    manifest["spec"]["predictor"]["model"]["storageUri"] = storage_uri
    return manifest


def only_storage_uri(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the only field that a deployment owns of an existing service.

    >>> only_storage_uri(inference_service("s3://releases/7", "redrec"))["spec"]
    {'predictor': {'model': {'storageUri': 's3://releases/7'}}}
    """
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {"name": manifest["metadata"]["name"]},
        "spec": {"predictor": {"model": {"storageUri": manifest["spec"]["predictor"]["model"]["storageUri"]}}},
    }


def wait_until_served(
    read: Callable[[], State],
    release: Release,
    timeout_s: float,
    *,
    query_bundle: Callable[[str, str, str], str] | None = None,
    poll_s: float = POLL_S,
) -> str:
    """Return the service's address once its newest pods are rolled out and it answers with the release's bundle.

    Raises:
        DeployError: The roll-out failed, or the time limit is reached.
    """
    started, query_bundle = time.monotonic(), query_bundle or served_bundle
    while True:
        state, answer = read(), ""
        waited_s = time.monotonic() - started
        if is_rolled_out(state, release.storage_uri):
            url = state.address
            try:
                answer = query_bundle(url, state.name, release.scenario)
            except (InputError, ConnectionError) as error:
                answer = str(error)
            if answer == release.bundle_id:
                return url
        failed = failure(state, release.storage_uri, waited_s)
        if failed is None and waited_s > timeout_s:
            failed = f"not served after {timeout_s:.0f} s: {progress(state, release.storage_uri, answer)}"
        if failed:
            raise DeployError(f"InferenceService {state.name}: {failed}")
        time.sleep(poll_s)


def served_bundle(url: str, model_name: str, scenario: str) -> str:
    """Return the id of the bundle that answers a query."""
    return str(query(url, USER_ID, scenario, k=1, model_name=model_name)["bundle_id"])
