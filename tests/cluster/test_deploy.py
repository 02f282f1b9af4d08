"""Deployment as in a pipeline: one call, with KServe's own controller, until the service is ready."""

import json
import sys
import time
import urllib.request

import pytest

from tests.cluster.conftest import Cluster, Service
from tests.cluster.tools import run

pytestmark = pytest.mark.cluster

TIMEOUT_S = 120
CALL = f"from serving.deploy import deploy; print(deploy({{!r}}, name={{!r}}, namespace={{!r}}, timeout_s={TIMEOUT_S}))"


def deploy(cluster: Cluster, storage_uri: str, name: str, namespace: str = "default") -> str:
    """Deploy in a separate process: the Kubernetes client reads KUBECONFIG when it is imported."""
    return run(sys.executable, "-c", CALL.format(storage_uri, name, namespace), env=cluster.env).strip()


def test_a_deployed_release_is_ready_when_the_call_returns_and_again_at_once(cluster: Cluster, service: Service):
    try:
        first = deploy(cluster, "pvc://redrec-bundles/demo", "deployed")
        assert deploy(cluster, "pvc://redrec-bundles/demo", "deployed") == first
        label = "serving.kserve.io/inferenceservice=deployed"
        address = cluster.kubectl("get", "svc", "-l", label, "-o", "jsonpath={.items[0].spec.clusterIP}")
        with urllib.request.urlopen(f"http://{address}/v2/models/redrec/ready", timeout=10) as answer:
            assert json.load(answer)["ready"] is True
    finally:
        cluster.kubectl("delete", "isvc", "deployed")


def test_a_namespace_without_the_serving_runtime_is_refused_at_once(cluster: Cluster):
    cluster.kubectl("create", "namespace", "bare")
    started = time.monotonic()
    try:
        with pytest.raises(AssertionError, match="DeployError: InferenceService lonely: InvalidSpec"):
            deploy(cluster, "pvc://redrec-bundles/demo", "lonely", "bare")
        assert time.monotonic() - started < TIMEOUT_S / 2
    finally:
        cluster.kubectl("delete", "namespace", "bare", "--wait=false")
