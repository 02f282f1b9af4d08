"""The doctor's checks against small servers: an API without TrainJobs and with few rights, and servers that are gone."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import doctor_checks
from cli.doctor_checks import Check, all_checks, cluster_checks, object_store_check, reachable, redis_check

STORAGE = {"storageclass.kubernetes.io/is-default-class": "true"}
ANSWERS: dict[str, Any] = {
    "/version": {"gitVersion": "v1.36.2"},
    "/apis/serving.kserve.io/v1beta1": {"resources": [{"name": "inferenceservices"}]},
    "/apis/serving.kserve.io/v1alpha1": {"resources": [{"name": "servingruntimes"}]},
    "/apis/storage.k8s.io/v1/storageclasses": {"items": [{"metadata": {"name": "fast", "annotations": STORAGE}}]},
    "/api/v1/namespaces/team-a/persistentvolumeclaims/bundles": {
        "status": {"phase": "Bound"},
        "spec": {"accessModes": ["ReadWriteMany"]},
    },
}
ALLOWED = {("get", "inferenceservices"), ("patch", "inferenceservices"), ("list", "pods")}


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(ANSWERS.get(self.path))

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        attributes = review["spec"]["resourceAttributes"]
        is_allowed = attributes["namespace"] == "team-a" and (attributes["verb"], attributes["resource"]) in ALLOWED
        self.answer({"status": {"allowed": is_allowed}})

    def answer(self, content: Any) -> None:
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content or {}).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def kubeconfig(path: Path, port: int) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def use(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it the kubeconfig: kubernetes' package reads the variable when it is imported."""
    import kubernetes

    for module in (kubernetes.config, kubernetes.config.kube_config):
        monkeypatch.setattr(module, "KUBE_CONFIG_DEFAULT_LOCATION", str(config))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_what_a_cluster_lacks_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Api)) as port:
        use(kubeconfig(tmp_path / "config", port), monkeypatch)
        checks = {check.name: check for check in cluster_checks("team-a", "bundles")}
    assert checks["Kubernetes"] == Check("Kubernetes", "ok", "v1.36.2")
    assert {name for name, check in checks.items() if check.state == "missing"} == {
        "CRD trainjobs.trainer.kubeflow.org",
        "right to get deployments",
        "right to create inferenceservices",
        "right to get persistentvolumeclaims",
        "right to create jobs",
    }
    assert "Install Kubeflow Trainer 2.2" in checks["CRD trainjobs.trainer.kubeflow.org"].remedy
    assert "--verb=create --resource=jobs.batch" in checks["right to create jobs"].remedy
    assert checks["storage class"].said == "default is fast"
    assert checks["claim bundles"].said == "Bound, ReadWriteMany"


@pytest.mark.parametrize(("field", "state"), [("podTemplateOverrides", "missing"), ("runtimePatches", "ok")])
def test_trainers_version_is_that_of_its_schema(
    field: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = {"properties": {"spec": {"properties": {field: {}}}}}
    schema = {"components": {"schemas": {"org.kubeflow.trainer.v1alpha1.TrainJob": spec}}}
    monkeypatch.setitem(ANSWERS, "/apis/trainer.kubeflow.org/v1alpha1", {"resources": [{"name": "trainjobs"}]})
    monkeypatch.setitem(ANSWERS, "/openapi/v3/apis/trainer.kubeflow.org/v1alpha1", schema)
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Api)) as port:
        use(kubeconfig(tmp_path / "config", port), monkeypatch)
        checks = {check.name: check for check in cluster_checks("team-a", None)}
    trainer = checks["CRD trainjobs.trainer.kubeflow.org"]
    assert trainer.state == state
    assert ("older than Kubeflow Trainer 2.2" in trainer.said) == (state == "missing")
    # Who does not train by TrainJobs needs no right for them.
    assert ("right to get pods/log" in checks) == (state == "ok")


def test_an_api_that_is_not_there_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Api)) as port:
        pass
    use(kubeconfig(tmp_path / "config", port), monkeypatch)
    (check,) = cluster_checks("team-a", None)
    assert (check.state, "does not answer" in check.said) == ("missing", True)


@pytest.mark.filterwarnings("ignore:kube_config_path")
def test_what_is_not_configured_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use(tmp_path / "absent", monkeypatch)
    checks = {check.name: check.state for check in all_checks("default", None, {})}
    assert {checks[name] for name in ("Kubernetes", "Milvus", "Redis", "S3")} == {"skipped"}
    assert checks["package kfp"] == "ok"


def test_a_package_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor_checks, "PACKAGES", {"absent-package": "train"})
    (check,) = doctor_checks.package_checks()
    assert (check.state, check.remedy) == ("missing", "pip install 'redrec[train]'")


def test_servers_that_answer_and_servers_that_do_not():
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Api)) as port:
        assert reachable("Milvus", f"http://127.0.0.1:{port}", "REDREC_MILVUS_URI", 19530).state == "ok"
    gone = reachable("Milvus", f"http://127.0.0.1:{port}", "REDREC_MILVUS_URI", 19530)
    assert (gone.state, gone.remedy) == ("missing", "correct REDREC_MILVUS_URI")
    assert redis_check(f"127.0.0.1:{port},password=x,db=1").state == "missing"


def test_an_object_store_that_refuses_is_missing(monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Api)) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        check = object_store_check({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    assert (check.state, "AWS_ACCESS_KEY_ID" in check.remedy) == ("missing", True)
