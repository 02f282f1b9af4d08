"""Checks of `redrec doctor`: what a cluster and this machine have, what is missing, and the command that mends it.

Nothing is changed. What is not configured is skipped and said, so the command also works on a laptop.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from jobs import train_cluster, train_job
from redrec.index.server import URI as MILVUS_URI
from serving import deploy
from serving.kubernetes_api import right_attributes

State = Literal["ok", "missing", "skipped"]

PACKAGES = {
    "kfp": "pipelines",
    "kubernetes": "pipelines",
    "torch": "train",
    "feast": "features",
    "kserve": "serving",
    "pymilvus": "index",
    "evidently": "monitoring",
}
TIME_LIMIT_S = 5.0
# Group, version, resource, and how it comes to the cluster.
KSERVE = "install KServe: https://kserve.github.io/website/docs/admin-guide/overview"
RESOURCES = (
    ("serving.kserve.io", "v1beta1", "inferenceservices", KSERVE),
    ("serving.kserve.io", "v1alpha1", "servingruntimes", KSERVE),
)
# What the deploy step, and who applies a load job, does in the namespace.
RIGHTS = (*deploy.RIGHTS, ("get", "", "persistentvolumeclaims"), ("create", "batch", "jobs"))


class Check(NamedTuple):
    name: str
    state: State
    said: str
    remedy: str = ""


def all_checks(namespace: str, claim: str | None, environment: Mapping[str, str]) -> Iterator[Check]:
    yield from package_checks()
    yield from cluster_checks(namespace, claim)
    yield reachable("Milvus", environment.get(MILVUS_URI), MILVUS_URI, 19530)
    yield redis_check(environment.get("REDREC_REDIS"))
    yield object_store_check(environment)


def package_checks() -> Iterator[Check]:
    for package, extra in PACKAGES.items():
        try:
            yield Check(f"package {package}", "ok", version(package))
        except PackageNotFoundError:
            yield Check(f"package {package}", "missing", "not installed", f"pip install 'redrec[{extra}]'")


def cluster_checks(namespace: str, claim: str | None) -> Iterator[Check]:
    """Check the API that the kubeconfig or the pod's account names, and ask nothing more if it does not answer."""
    from kubernetes import client, config

    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints
            config.load_config()
    except config.ConfigException as error:
        yield Check("Kubernetes", "skipped", f"no kubeconfig: {error}", "kubectl config view")
        return
    settings = client.Configuration.get_default_copy()
    settings.retries = False  # an API that hangs is waited for once
    get = reader(client.ApiClient(settings))
    status, answer = get("GET", "/version", None)
    if status != 200:
        remedy = "kubectl get --raw /version"
        yield Check("Kubernetes", "missing", f"the API does not answer: {answer}", remedy)
        return
    yield Check("Kubernetes", "ok", answer["gitVersion"])
    for group, group_version, resource, remedy in RESOURCES:
        yield _kind(get, group, group_version, resource, remedy)
    trainer = trainer_check(get)
    yield trainer
    rights = RIGHTS if trainer.state == "missing" else (*RIGHTS, *train_cluster.RIGHTS)
    for verb, group, resource in dict.fromkeys(rights):
        yield _right(get, namespace, verb, group, resource)
    yield _storage_class(get)
    if claim:
        yield _claim(get, namespace, claim)


Reader = Callable[[str, str, Any], tuple[int, Any]]


def reader(api: Any) -> Reader:
    """Return a function that gives the status, 0 without an answer, and the content or the reason."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    def read(method: str, path: str, body: Any) -> tuple[int, Any]:
        try:
            content, status, _ = api.call_api(
                path,
                method,
                body=body,
                header_params={"Content-Type": "application/json", "Accept": "application/json"},
                response_type="object",
                auth_settings=["BearerToken"],
                _request_timeout=(TIME_LIMIT_S, TIME_LIMIT_S),
            )
        except ApiException as error:
            return error.status, error.reason
        except HTTPError as error:
            return 0, str(error)
        return status, content

    return read


def _kind(get: Reader, group: str, group_version: str, resource: str, remedy: str) -> Check:
    name, path = f"CRD {resource}.{group}", f"/apis/{group}/{group_version}"
    status, answer = get("GET", path, None)
    names = {entry["name"] for entry in answer["resources"]} if status == 200 else set()
    if resource in names:
        return Check(name, "ok", group_version)
    return Check(name, "missing", f"the cluster has no {resource} of {group}/{group_version}", remedy)


def trainer_check(get: Reader) -> Check:
    """Check that there are TrainJobs with `runtimePatches`; everybody may read the API's own schema."""
    kind = _kind(get, train_job.GROUP, train_job.VERSION, train_job.RESOURCE, train_cluster.INSTALL)
    status, answer = get("GET", f"/openapi/v3/apis/{train_job.GROUP}/{train_job.VERSION}", None)
    if kind.state == "missing" or status != 200:
        return kind
    if train_cluster.is_new_enough(answer):
        return kind
    said = f"older than Kubeflow Trainer {train_cluster.MINIMUM}: it has no runtimePatches"
    return Check(kind.name, "missing", said, train_cluster.INSTALL)


def _right(get: Reader, namespace: str, verb: str, group: str, resource: str) -> Check:
    name = f"right to {verb} {resource}"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": right_attributes(namespace, verb, group, resource)},
    }
    status, answer = get("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    if status in (200, 201) and answer["status"]["allowed"]:
        return Check(name, "ok", f"in namespace {namespace}")
    full = f"{resource}.{group}" if group else resource
    remedy = f"kubectl create role redrec --verb={verb} --resource={full} -n {namespace}, and bind it to your account"
    return Check(name, "missing", f"not allowed in namespace {namespace}", remedy)


def _storage_class(get: Reader) -> Check:
    status, answer = get("GET", "/apis/storage.k8s.io/v1/storageclasses", None)
    if status != 200:
        return Check("storage class", "skipped", f"may not be listed: {answer}")
    marks = {"storageclass.kubernetes.io/is-default-class": "true"}
    defaults = [
        entry["metadata"]["name"]
        for entry in answer["items"]
        if marks.items() <= (entry["metadata"].get("annotations") or {}).items()
    ]
    if defaults:
        return Check("storage class", "ok", f"default is {defaults[0]}")
    names = ", ".join(entry["metadata"]["name"] for entry in answer["items"]) or "none"
    remedy = f"kubectl annotate storageclass NAME {next(iter(marks))}=true, or name one in the chart's values"
    return Check("storage class", "missing", f"no default; there are: {names}", remedy)


def _claim(get: Reader, namespace: str, claim: str) -> Check:
    status, answer = get("GET", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}", None)
    if status == 200:
        return Check(f"claim {claim}", "ok", f"{answer['status']['phase']}, {answer['spec']['accessModes'][0]}")
    return Check(f"claim {claim}", "missing", f"{answer}", f"kubectl get pvc -n {namespace}")


def reachable(name: str, uri: str | None, variable: str, default_port: int) -> Check:
    """Check that something listens at the address."""
    if not uri:
        return Check(name, "skipped", f"{variable} is not set")
    address = urlsplit(uri if "://" in uri else f"//{uri}")
    target = address.hostname or "", address.port or default_port
    try:
        socket.create_connection(target, TIME_LIMIT_S).close()
    except OSError as error:
        return Check(name, "missing", f"{target[0]}:{target[1]} does not answer: {error}", f"correct {variable}")
    return Check(name, "ok", f"{target[0]}:{target[1]} answers")


def redis_check(connection: str | None) -> Check:
    """Log in and ping; `connection` is as in `feature_repo.store`."""
    if not connection:
        return Check("Redis", "skipped", "REDREC_REDIS is not set")
    from redis import Redis
    from redis.exceptions import RedisError

    address, *options = connection.split(",")
    given = dict(option.split("=", 1) for option in options if "=" in option)
    host, _, port = address.partition(":")
    server = Redis(
        host,
        int(port or 6379),
        db=int(given.get("db", 0)),
        password=given.get("password"),
        ssl=given.get("ssl", "").lower() == "true",
        socket_connect_timeout=TIME_LIMIT_S,
        socket_timeout=TIME_LIMIT_S,
    )
    try:
        server.ping()
    except RedisError as error:
        return Check("Redis", "missing", f"{address}: {error}", "correct REDREC_REDIS")
    finally:
        server.close()
    return Check("Redis", "ok", f"{address} answers")


def object_store_check(environment: Mapping[str, str]) -> Check:
    """List the buckets; an address without credentials is tried too, since a pod may have an identity."""
    if not environment.get("AWS_ENDPOINT_URL") and not environment.get("AWS_ACCESS_KEY_ID"):
        return Check("S3", "skipped", "neither AWS_ENDPOINT_URL nor AWS_ACCESS_KEY_ID is set")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    limits = Config(connect_timeout=TIME_LIMIT_S, read_timeout=TIME_LIMIT_S, retries={"max_attempts": 0})
    store = boto3.client("s3", config=limits)
    try:
        buckets = [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]
    except (BotoCoreError, ClientError) as error:
        return Check("S3", "missing", str(error), "correct AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY")
    finally:
        store.close()
    return Check("S3", "ok", f"buckets: {', '.join(buckets) or 'none'}")


def checked(namespace: str, claim: str | None) -> list[Check]:
    return list(all_checks(namespace, claim, os.environ))
