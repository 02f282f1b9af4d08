"""The chart's life in one namespace with PodSecurity `restricted` and a quota: install, deploy, upgrade, roll back, uninstall.

The tests run in this order on one installed release, with two pods, by the account of the pipelines' runs.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from redrec.bundle.reader import Bundle
from redrec.bundle.release import publish
from redrec.folders import RunFolder
from serving.client import query
from tests import object_store
from tests.cluster.conftest import TAG, Cluster, pip_settings
from tests.cluster.deploy import TIMEOUT_S
from tests.cluster.step_pod import POD, step_pod
from tests.cluster.test_deploy import deploy
from tests.cluster.test_install_guide import HOST
from tests.cluster.tools import ROOT, helm, redrec, run
from tests.helm.test_chart import render
from tests.serving.clients import Clients, shown

pytestmark = pytest.mark.cluster

NAMESPACE, SERVICE, RUNNER = "shop", "first-redrec", "pipeline-runner"
CLAIM = f"pvc://{SERVICE}-bundles"
ADDRESS_S = 60.0
PAUSE_S = 0.05  # between two requests of a client: the pods share the machine with it
DOWNLOADER = "kserve/storage-initializer:v0.20.0"  # as the cluster's KServe names it
DOWNLOADER_FILE = """
FROM python:3.11-slim
RUN pip install --quiet --no-deps kserve-storage==0.20.0 && pip install --quiet boto3 pyyaml requests
USER 1000
ENTRYPOINT ["python", "-c", "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"]
"""
QUOTA = (
    "requests.cpu=8,requests.memory=16Gi,limits.cpu=32,limits.memory=32Gi,pods=10"  # so each pod must say what it needs
)
KEDA = "serving.maxReplicas=2,serving.keda.enabled=true,serving.keda.serverAddress=http://prometheus:9090,serving.keda.query=up"
SCALED_OBJECTS = {  # the definition of KEDA's resource, without its fields
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
IMAGE = f"--set=serving.image.tag={TAG}"
SETTINGS = [
    IMAGE,
    f"--set=deployers[0].name={RUNNER}",
    f"--set=deployers[0].namespace={NAMESPACE}",
    "--set=serving.minReplicas=2",
]


class Chart(NamedTuple):
    """An installed chart; `runner` is the cluster with the rights of a pipeline's run."""

    admin: Cluster
    runner: Cluster

    def helm(self, verb: str, *words: str) -> str:
        return run(helm(), verb, *words, "--namespace", NAMESPACE, env=self.admin.env)

    def kubectl(self, *words: str) -> str:
        return self.admin.kubectl("--namespace", NAMESPACE, *words)

    def spec(self) -> dict:
        spec: dict = json.loads(self.kubectl("get", "isvc", SERVICE, "-o", "json"))["spec"]["predictor"]
        return spec

    def claim(self) -> Path:
        volume = self.kubectl("get", "pvc", f"{SERVICE}-bundles", "-o", "jsonpath={.spec.volumeName}")
        return Path(self.admin.kubectl("get", "pv", volume, "-o", "jsonpath={.spec.hostPath.path}"))

    def url(self, service: str = SERVICE) -> str:
        return f"http://{self.kubectl('get', 'svc', f'{service}-predictor', '-o', 'jsonpath={.spec.clusterIP}')}"


@contextmanager
def without_failed_requests(chart: Chart, bundle: Bundle) -> Iterator[Clients]:
    url, scenario = chart.url(), bundle.manifest.scenarios[0]

    def ask() -> dict[str, Any]:
        time.sleep(PAUSE_S)
        return query(url, "nobody", scenario, model_name=SERVICE)

    with Clients(ask) as clients:
        yield clients
    assert clients.answers and not clients.errors


def wait_for_image(chart: Chart, image: str) -> None:
    """Wait until the pods of this image are the only ones."""
    deployment = f"deployment/{SERVICE}-predictor"
    of_image = f"--for=jsonpath={{.spec.template.spec.containers[0].image}}={image}"
    chart.kubectl("wait", of_image, deployment, "--timeout=60s")
    chart.kubectl("rollout", "status", deployment, "--timeout=240s")


def first_answer(url: str, scenario: str, service: str) -> dict[str, Any]:
    """Return an answer of a service that has just become ready: a node learns its address some seconds later."""
    deadline = time.monotonic() + ADDRESS_S
    while True:
        try:
            return query(url, "nobody", scenario, model_name=service)
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def with_token(cluster: Cluster, folder: Path) -> Cluster:
    """Return the cluster as the account of a pipeline's run reaches it."""
    token = cluster.kubectl("create", "token", RUNNER, "--namespace", NAMESPACE).strip()
    settings = yaml.safe_load(Path(cluster.env["KUBECONFIG"]).read_text())
    for user in settings["users"]:
        user["user"] = {"token": token}
    (folder / "kubeconfig").write_text(yaml.safe_dump(settings))
    return Cluster(
        cluster.env | {"KUBECONFIG": str(folder / "kubeconfig"), "ADMIN_KUBECONFIG": cluster.env["KUBECONFIG"]}
    )


@pytest.fixture(scope="module")
def chart(
    cluster: Cluster, images: dict[str, str], run_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chart]:
    """Install the chart on claims with a release, its copy, and one without features, and wait until it is ready."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "quota", "all", f"--hard={QUOTA}", "--namespace", NAMESPACE)
    cluster.kubectl("create", "serviceaccount", RUNNER, "--namespace", NAMESPACE)
    installed = Chart(cluster, with_token(cluster, tmp_path_factory.mktemp("runner")))
    try:
        installed.helm("install", "first", str(ROOT / "helm" / "redrec"), *SETTINGS, "--set=serving.maxReplicas=2")
        installed.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc", "--all", "--timeout=60s")
        source = RunFolder(run_folder)
        for name in ("demo", "next", "broken"):
            shutil.copytree(source.bundle, RunFolder(installed.claim() / name).bundle)
        for name in ("demo", "next"):
            shutil.copytree(source.features, RunFolder(installed.claim() / name).features)
        installed.kubectl("wait", "--for=condition=Ready", f"isvc/{SERVICE}", "--timeout=240s")
        yield installed
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def storage_initializer(cluster: Cluster, images: dict[str, str]) -> None:
    """Build the image by which KServe downloads `s3://`, from its own package and the base image of the others."""
    cluster.podman("build", *pip_settings(), f"--tag={DOWNLOADER}", "-", stdin=DOWNLOADER_FILE)


def test_helms_own_test_passes(chart: Chart) -> None:
    assert "Succeeded" in chart.helm("test", "first")


def test_a_second_release_in_the_namespace_collides_with_nothing(chart: Chart) -> None:
    uri = f"--set=serving.storageUri={CLAIM}/demo"
    chart.helm("install", "second", str(ROOT / "helm" / "redrec"), IMAGE, uri)
    chart.helm("uninstall", "second")


def test_the_monitor_selects_the_service_that_kserve_makes(chart: Chart) -> None:
    values = ROOT / "helm" / "redrec" / "ci" / "monitoring-values.yaml"
    monitor = render("--values", values, release="first")["ServiceMonitor"]["spec"]
    selector = ",".join(f"{name}={value}" for name, value in monitor["selector"]["matchLabels"].items())
    (service,) = json.loads(chart.kubectl("get", "services", "-l", selector, "-o", "json"))["items"]
    assert service["metadata"]["name"] == f"{SERVICE}-predictor"
    ports = {port.get("name"): port["port"] for port in service["spec"]["ports"]}
    assert (ports["http"], ports[monitor["endpoints"][0]["port"]]) == (80, 9090)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("serving.existingSecret=absent", "Secret absent of serving.existingSecret does not exist in namespace shop"),
        ("serving.storageUri=pvc://absent/x", "claim absent of serving.storageUri does not exist in namespace shop"),
        ("serving.canary.storageUri=pvc://absent/x", "claim absent of serving.canary.storageUri does not exist"),
        (KEDA, "no ScaledObject. Install KEDA first"),
        ("serving.serviceMonitor.enabled=true", "no ServiceMonitor. Install the Prometheus Operator first"),
    ],
)
def test_what_the_cluster_lacks_is_said_before_anything_is_installed(
    chart: Chart, setting: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        chart.helm("install", "refused", str(ROOT / "helm" / "redrec"), IMAGE, f"--set={setting}")
    assert chart.helm("list", "--short").split() == ["first"]
    assert "refused" not in chart.kubectl("get", "all,serviceaccounts,servingruntimes,roles,pvc", "-o", "name")


def test_kserve_makes_a_scaled_object_of_the_query_and_none_of_the_canary(chart: Chart) -> None:
    """KEDA itself is not here: this is what it would read."""
    chart.admin.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(SCALED_OBJECTS))
    chart.kubectl("wait", "--for=condition=Established", "crd/scaledobjects.keda.sh", "--timeout=60s")
    releases = f"serving.storageUri={CLAIM}/demo,serving.canary.storageUri={CLAIM}/next"
    chart.helm("install", "second", str(ROOT / "helm" / "redrec"), IMAGE, f"--set={KEDA}", f"--set={releases}")
    is_reconciled = "--for=jsonpath={.status.canaryStatuses[0].name}=canary"
    chart.kubectl("wait", is_reconciled, "isvc/second-redrec", "--timeout=60s")
    selector = "serving.kserve.io/inferenceservice=second-redrec"
    (scaled,) = json.loads(chart.kubectl("get", "scaledobjects,hpa", "-l", selector, "-o", "json"))["items"]
    assert scaled["spec"]["scaleTargetRef"] == {"name": "second-redrec-predictor"}
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (1, 2)
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "prometheus"
    assert trigger["metadata"] == {"serverAddress": "http://prometheus:9090", "query": "up", "threshold": "4"}
    chart.helm("uninstall", "second")
    upgrade = ["upgrade", "first", str(ROOT / "helm" / "redrec"), IMAGE, f"--set={KEDA}", "--dry-run=server"]
    assert f"kubectl delete --namespace {NAMESPACE} hpa {SERVICE}-predictor" in chart.helm(*upgrade)


def test_kserves_storage_initializer_downloads_a_release_under_restricted(
    chart: Chart, storage_initializer: None, run_folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Secret has AWS's own variables. The chart's complaint has the command for what KServe needs in addition."""
    with object_store.serving(object_store.FaultyStore(), HOST) as endpoint:
        login = object_store.ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}
        for name, value in login.items():
            monkeypatch.setenv(name, value)
        object_store.empty_bucket(endpoint, "redrec")
        url = publish(run_folder, "s3://redrec/releases", is_whole=False).upload.url
        settings = [IMAGE, "--set=serving.claim.create=false", "--set=serving.existingSecret=store"]
        install = ["install", "stored", str(ROOT / "helm" / "redrec"), *settings, f"--set=serving.storageUri={url}"]
        literals = [f"--from-literal={name}={value}" for name, value in login.items()]
        chart.kubectl("create", "secret", "generic", "store", *literals)
        with pytest.raises(AssertionError, match="KServe does not read AWS_ENDPOINT_URL of the Secret") as refused:
            chart.helm(*install)
        chart.admin.kubectl(*str(refused.value).partition(": kubectl ")[2].splitlines()[0].split())
        chart.helm(*install)
        chart.kubectl("wait", "--for=condition=Ready", "isvc/stored-redrec", "--timeout=240s")
        answer = first_answer(chart.url("stored-redrec"), bundle.manifest.scenarios[0], "stored-redrec")
        assert answer["bundle_id"] == bundle.manifest.id
        chart.helm("uninstall", "stored")


def test_a_run_may_deploy_and_nothing_else(chart: Chart) -> None:
    rights = product(("get", "create", "patch", "delete"), ("inferenceservices", "deployments", "pods", "secrets"))
    allowed = {f"{verb} {what}" for verb, what in rights if may(chart, verb, what)}
    services = {f"{verb} inferenceservices" for verb in ("get", "create", "patch")}
    assert allowed == services | {"get deployments"}
    assert may(chart, "list", "pods")


def may(chart: Chart, verb: str, what: str) -> bool:
    words = ["kubectl", "auth", "can-i", verb, what, "--namespace", NAMESPACE]
    return subprocess.run(words, env=chart.runner.env, capture_output=True).returncode == 0


def test_one_of_two_pods_is_deleted_under_load_without_a_failed_request(chart: Chart, bundle: Bundle) -> None:
    chart.kubectl(
        "wait", "--for=jsonpath={.status.availableReplicas}=2", f"deployment/{SERVICE}-predictor", "--timeout=240s"
    )
    selector = f"serving.kserve.io/inferenceservice={SERVICE}"
    with without_failed_requests(chart, bundle):
        chart.kubectl("delete", chart.kubectl("get", "pods", "-l", selector, "-o", "name").split()[0])
        time.sleep(1)


def test_a_withdrawn_item_goes_and_comes_back_without_a_restart_or_a_failed_request(
    chart: Chart, bundle: Bundle
) -> None:
    """`redrec items` and `redrec activate` run on the claim that both pods serve from."""
    demo, item = RunFolder(chart.claim() / "demo"), bundle.fallback[bundle.manifest.scenarios[0]][0]
    with without_failed_requests(chart, bundle) as clients:
        clients.seconds_until(lambda answer: item in shown(answer))
        changed = redrec("items", demo, "--withdraw", item)["bundle"]
        clients.seconds_until(lambda answer: answer["bundle_id"] == changed)
        redrec("activate", demo, "--bundle", bundle.manifest.id)
        clients.seconds_until(lambda answer: item in shown(answer))
    assert not any(item in shown(answer) for answer in clients.answers if answer["bundle_id"] == changed)


def test_a_canary_answers_beside_the_others_with_the_next_bundle(chart: Chart, bundle: Bundle) -> None:
    canary, scenario = RunFolder(chart.claim() / "canary"), bundle.manifest.scenarios[0]
    shutil.copytree(chart.claim() / "demo", canary.path)
    following = redrec("items", canary, "--withdraw", bundle.fallback[scenario][0])["bundle"]
    settings = [*SETTINGS, "--set=serving.maxReplicas=2", f"--set=serving.canary.storageUri={CLAIM}/canary"]
    notes = chart.helm("upgrade", "first", str(ROOT / "helm" / "redrec"), *settings)
    assert f"The canary serves {CLAIM}/canary at the Service {SERVICE}-canary-predictor" in notes
    chart.kubectl("wait", "--for=condition=CanaryPredictorReady", f"isvc/{SERVICE}", "--timeout=240s")
    answers = [first_answer(chart.url(service), scenario, SERVICE) for service in (f"{SERVICE}-canary", SERVICE)]
    assert [answer["bundle_id"] for answer in answers] == [following, bundle.manifest.id]


def test_the_deploy_step_in_a_pod_of_its_account_reaches_ready_under_load_without_a_failed_request(
    chart: Chart, images: dict[str, str], bundle: Bundle
) -> None:
    pod = step_pod(images["pipeline"], RUNNER, f"{SERVICE}-bundles", "next", SERVICE, TIMEOUT_S)
    run("kubectl", "apply", "--namespace", NAMESPACE, "-f", "-", env=chart.admin.env, stdin=json.dumps(pod))
    try:
        with without_failed_requests(chart, bundle):
            chart.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{POD}", f"--timeout={TIMEOUT_S}s")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{chart.admin.podman('logs', f'{NAMESPACE}-{POD}-main')}") from error
    said = chart.admin.podman("logs", f"{NAMESPACE}-{POD}-main").splitlines()
    assert said[-1] == f"http://{SERVICE}-predictor.{NAMESPACE}.svc.cluster.local"
    assert chart.spec()["model"]["storageUri"] == f"{CLAIM}/next"
    chart.kubectl("delete", "pod", POD)


def test_a_deployed_release_stays_through_an_upgrade_to_a_new_image_under_load_without_a_failed_request(
    chart: Chart, images: dict[str, str], bundle: Bundle
) -> None:
    deploy(chart.runner, f"{CLAIM}/next", bundle, SERVICE, NAMESPACE)
    assert chart.spec()["minReplicas"] == 2
    chart.admin.podman("tag", images["serving"], f"{images['serving']}-next")
    changes = ["--set=serving.maxReplicas=3", f"--set=serving.image.tag={TAG}-next"]
    with without_failed_requests(chart, bundle):
        notes = chart.helm("upgrade", "first", str(ROOT / "helm" / "redrec"), *SETTINGS, *changes)
        wait_for_image(chart, f"{images['serving']}-next")
    assert f"A pipeline has deployed {CLAIM}/next; it stays" in notes
    left = chart.kubectl("get", "deployments,hpa", "-o", "name").split()  # the canary of the tests before has ended
    assert {name.partition("/")[2] for name in left} == {f"{SERVICE}-predictor"}
    assert (chart.spec()["model"]["storageUri"], chart.spec()["maxReplicas"]) == (f"{CLAIM}/next", 3)


def test_a_broken_release_fails_with_the_pods_last_words_and_the_old_one_answers(chart: Chart, bundle: Bundle) -> None:
    with pytest.raises(AssertionError, match="CrashLoopBackOff: exit code 2: serving: .*feature_store.yaml"):
        deploy(chart.runner, f"{CLAIM}/broken", bundle, SERVICE, NAMESPACE)
    answer = query(chart.url(), "nobody", bundle.manifest.scenarios[0], model_name=SERVICE)
    assert answer["bundle_id"] == bundle.manifest.id
    upgrade = ["upgrade", "first", str(ROOT / "helm" / "redrec"), *SETTINGS, "--set=serving.maxReplicas=3"]
    notes = chart.helm(*upgrade, "--dry-run=server")
    assert re.search(r"Before this change the pod \S+ could not start: serving: .*feature_store.yaml", notes)


def test_a_rollback_takes_the_release_back(chart: Chart) -> None:
    chart.helm("rollback", "first", "1", "--force-conflicts")
    assert (chart.spec()["model"]["storageUri"], chart.spec()["maxReplicas"]) == (f"{CLAIM}/demo", 2)


def test_an_uninstalled_chart_leaves_its_claims_alone(chart: Chart) -> None:
    chart.helm("uninstall", "first")
    types = "isvc,servingruntime,serviceaccount,role,rolebinding,poddisruptionbudget,networkpolicy,pvc"
    left = chart.kubectl("get", types, "-o", "name").split()
    assert {name for name in left if "redrec" in name} == {
        f"persistentvolumeclaim/{SERVICE}-bundles",
        "persistentvolumeclaim/second-redrec-bundles",
    }
