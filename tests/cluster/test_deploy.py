"""Deployment as a pipeline does it: one call, against KServe's own controller, until the service is ready."""

import json
import sys
import urllib.request

import pytest

from tests.cluster.conftest import Cluster, Service
from tests.cluster.tools import run

pytestmark = pytest.mark.cluster

CALL = (
    "import sys; from serving.deploy import deploy; print(deploy({!r}, name={!r}, namespace='default', timeout_s=120))"
)


def deploy(cluster: Cluster, storage_uri: str, name: str) -> str:
    """Call it in a process of its own: the Kubernetes client reads KUBECONFIG when it is imported."""
    return run(sys.executable, "-c", CALL.format(storage_uri, name), env=cluster.env).strip()


def test_a_deployed_release_is_ready_when_the_call_returns_and_again_at_once(cluster: Cluster, service: Service):
    first = deploy(cluster, "pvc://redrec-bundles/demo", "deployed")
    assert deploy(cluster, "pvc://redrec-bundles/demo", "deployed") == first
    try:
        address = cluster.kubectl("get", "svc", "deployed-v1", "-o", "jsonpath={.spec.clusterIP}")
        with urllib.request.urlopen(f"http://{address}/v2/models/redrec/ready", timeout=10) as answer:
            assert json.load(answer)["ready"] is True
    finally:
        cluster.kubectl("delete", "isvc", "deployed")


def test_a_release_that_cannot_be_loaded_fails_before_the_time_is_up(cluster: Cluster, service: Service):
    try:
        with pytest.raises(AssertionError, match="DeployError.*absent"):
            deploy(cluster, "pvc://redrec-bundles/nothing-here", "absent")
    finally:
        cluster.kubectl("delete", "isvc", "absent")
