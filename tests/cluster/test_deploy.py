"""Deployment as in a pipeline: one call, with KServe's own controller, until the service answers with the bundle."""

import sys
import time

import pytest

from redrec.bundle.reader import Bundle
from tests.cluster.conftest import Cluster, Service
from tests.cluster.deploy import TIMEOUT_S
from tests.cluster.tools import run

pytestmark = pytest.mark.cluster


def deploy(cluster: Cluster, storage_uri: str, bundle: Bundle, name: str, namespace: str = "default") -> str:
    words = [storage_uri, bundle.manifest.id, bundle.manifest.scenarios[0], name, namespace]
    environment = {"ADMIN_KUBECONFIG": cluster.env["KUBECONFIG"]} | cluster.env
    return run(sys.executable, "-m", "tests.cluster.deploy", *words, env=environment).strip()


def test_a_deployed_release_answers_when_the_call_returns_and_again_at_once(
    cluster: Cluster, service: Service, bundle: Bundle
):
    try:
        first = deploy(cluster, "pvc://redrec-bundles/demo", bundle, "deployed")
        assert deploy(cluster, "pvc://redrec-bundles/demo", bundle, "deployed") == first
        assert first == "http://deployed-predictor.default.svc.cluster.local"
    finally:
        cluster.kubectl("delete", "isvc", "deployed")


def test_a_namespace_without_the_serving_runtime_is_refused_early(cluster: Cluster, bundle: Bundle):
    cluster.kubectl("create", "namespace", "bare")
    started = time.monotonic()
    try:
        with pytest.raises(AssertionError, match="DeployError: InferenceService lonely: InvalidSpec"):
            deploy(cluster, "pvc://redrec-bundles/demo", bundle, "lonely", "bare")
        assert time.monotonic() - started < TIMEOUT_S / 2
    finally:
        cluster.kubectl("delete", "namespace", "bare", "--wait=false")
