"""The Kubernetes API as a pod meets it: the pod's own namespace, and what the API refuses as one sentence."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from redrec.config import InputError

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace(file: Path = POD_NAMESPACE) -> str:
    if not file.is_file():
        raise InputError(f"No namespace is given, and this is no pod: {file} does not exist. Give a namespace.")
    return file.read_text(encoding="utf-8").strip()


def load_config() -> None:
    """Use the pod's own ServiceAccount, or outside of a pod the kubeconfig.

    Raises:
        InputError: There is neither.
    """
    from kubernetes import config

    try:
        config.load_incluster_config()
    except config.ConfigException:
        try:
            config.load_kube_config()
        except config.ConfigException as error:
            raise InputError(
                f"No Kubernetes API is known: this is no pod, and the kubeconfig has none ({error}). Set KUBECONFIG."
            ) from error


def right_attributes(namespace: str, verb: str, group: str, resource: str) -> dict[str, str]:
    """Return what an access review asks for; `resource` may name a subresource.

    >>> right_attributes("shop", "get", "", "pods/log")["subresource"]
    'log'
    """
    plain, _, subresource = resource.partition("/")
    return {"namespace": namespace, "verb": verb, "group": group, "resource": plain, "subresource": subresource}


@contextmanager
def plain_refusals(if_forbidden: str) -> Iterator[None]:
    """Turn what the API refuses into one sentence; `if_forbidden` says who gives the right."""
    from kubernetes.client import ApiException

    try:
        yield
    except ApiException as error:
        reason = api_message(error.body, error.reason)
        advice = {403: f" {if_forbidden}", 401: " Log in again: the token is expired or of another cluster."}
        message = f"The cluster refuses with {error.status}: {reason.rstrip('.')}.{advice.get(error.status, '')}"
        raise InputError(message) from error


def api_message(body: str | bytes | None, reason: str | None) -> str:
    r"""Return the API's own message.

    >>> api_message('{"message": "namespaces \\"shop\\" not found"}', "Not Found")
    'namespaces "shop" not found'
    """
    try:
        content = json.loads(body or "")
    except json.JSONDecodeError:
        content = None
    return str(content["message"] if isinstance(content, Mapping) and "message" in content else reason)
