"""The chart, rendered by helm itself: all supported shapes, the same specs as the plain manifests, and no silent typo.

The API of every supported KServe declares each of its fields.
"""

import argparse
import json
import subprocess
import tomllib
from itertools import chain, product
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import parser
from components.images import REGISTRY, image_names
from jobs import train_cluster as train
from jobs.pipelines_api import TOKEN
from pipelines.recurring import check_cron
from pipelines.settings import ClusterSettings
from redrec import __version__
from redrec.config import load_config
from serving import deploy
from serving.__main__ import parse_arguments
from serving.predictor import SECONDS
from tests.cluster.tools import CRDS, ROOT, helm, run
from tests.helm.readme import CHART, readme

MANIFESTS = ROOT / "serving" / "manifests"
SHAPES = sorted((CHART / "ci").glob("*-values.yaml"))
DEFAULT = CHART / "ci" / "default-values.yaml"
KSERVE = ("kserve-0.15.2", "kserve-0.16.0", "kserve-0.18.1", ".")  # folders of definitions; the last is 0.20's
KEDA = "serving.keda.enabled=true,serving.keda.serverAddress=http://prometheus:9090"

Objects = dict[str, dict[str, Any]]  # kind -> object


def by_kind(documents: str) -> Objects:
    return {document["kind"]: document for document in yaml.safe_load_all(documents) if document}


def render(*options: str | Path, release: str = "redrec") -> Objects:
    return by_kind(run(helm(), "template", release, CHART, "--values", DEFAULT, *options))


def render_shape(name: str) -> Objects:
    return render("--values", CHART / "ci" / f"{name}-values.yaml")


def without_metadata(objects: Objects) -> Objects:
    stripped = {}
    for kind, one in objects.items():
        stripped[kind] = {key: value for key, value in one.items() if key != "metadata"}
    return stripped


def names(objects: Objects) -> dict[str, str]:
    return {kind: one["metadata"]["name"] for kind, one in objects.items()}


def plain() -> Objects:
    """Return what `kubectl apply -k serving/manifests` applies: the files that the kustomization names."""
    files = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    assert {*files, "kustomization.yaml"} == {path.name for path in MANIFESTS.glob("*.yaml")}
    return by_kind("\n---\n".join((MANIFESTS / file).read_text() for file in files))


def test_default_rendering_equals_the_plain_manifests() -> None:
    rendered, expected = render(), plain()
    del rendered["Pod"]  # of `helm test`
    assert without_metadata(rendered) == without_metadata(expected)
    assert names(rendered) == names(expected)


def test_chart_and_manifests_name_the_image_that_make_images_builds() -> None:
    containers = [*render()["Pod"]["spec"]["containers"], *plain()["ServingRuntime"]["spec"]["containers"]]
    assert {one["image"] for one in containers} == {image_names(REGISTRY, f"{__version__}-COMMIT")["serving"]}


def unknown_fields(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Return the fields that a structural schema does not declare, as the API's strict check finds them."""
    if isinstance(value, list):
        fields = [unknown_fields(one, schema.get("items", {}), path) for one in value]
    elif isinstance(value, dict) and "properties" in schema:
        declared = schema["properties"]
        fields = [unknown_fields(one, declared.get(name, {}), f"{path}.{name}") for name, one in value.items()]
        fields.append([f"{path}.{name}" for name in value if name not in declared])
    else:
        fields = []
    return list(chain.from_iterable(fields))


def schema(version: str, kind: str) -> dict[str, Any]:
    if not CRDS.is_dir():
        pytest.skip(f"{CRDS} is absent; it has KServe's custom resource definitions")
    definition = yaml.load((CRDS / version / f"serving.kserve.io_{kind}.yaml").read_text(), yaml.CSafeLoader)
    declared: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return declared


@pytest.mark.parametrize("shape", ["scheduling", "keda"])
@pytest.mark.parametrize("version", KSERVE)
def test_every_supported_kserve_declares_all_fields(version: str, shape: str) -> None:
    objects = render("--values", CHART / "ci" / f"{shape}-values.yaml", "--set=serving.maxReplicas=9")
    services, runtimes = schema(version, "inferenceservices"), schema(version, "servingruntimes")
    assert unknown_fields(objects["InferenceService"]["spec"], services) == []
    assert unknown_fields(objects["ServingRuntime"]["spec"], runtimes) == []
    assert unknown_fields({"predictor": {"nodeSelectr": {}}}, services) == [".predictor.nodeSelectr"]


@pytest.mark.parametrize(("version", "undeclared"), [("kserve-0.18.1", [".canary"]), (".", [])])
def test_a_canary_needs_kserve_0_20(version: str, undeclared: list[str]) -> None:
    spec = render_shape("canary")["InferenceService"]["spec"]
    assert unknown_fields(spec, schema(version, "inferenceservices")) == undeclared


@pytest.mark.parametrize("values", SHAPES, ids=lambda path: path.stem)
def test_every_supported_shape_lints_and_renders(values: Path) -> None:
    run(helm(), "lint", "--strict", CHART, "--values", values)
    assert ("InferenceService" in render("--values", values)) == (values.stem != "disabled-values")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("serving.imag.tag=1", "'imag' not allowed"),
        ("serving.image.tag=latest", "/serving/image/tag"),
        ("serving.image.tag=", "serving.image.tag is not given. Give the repository and the tag that `make images`"),
        ("serving.minReplicas=two", "/serving/minReplicas"),
        ("serving.minReplicas=5,serving.maxReplicas=2", "serving.minReplicas (5) is above serving.maxReplicas (2)"),
        ("serving.storageUri=redrec-bundles/demo", "/serving/storageUri"),
        ("serving.resources=null", "missing property 'resources'"),
        ("serving.resources.limits.cpu=null", "missing property 'cpu'"),
        ("serving.resources.limits.memory=0.4Gi", "limits.memory (0.4Gi) is below its request (512Mi)"),
        ("serving.resources.limits.cpu=100m", "limits.cpu (100m) is below its request (500m)"),
        ("serving.scaleTarget=101", "/serving/scaleTarget"),
        ("serving.metricsPort=8080", "/serving/metricsPort"),
        ("serving.grpcPort=8080", "/serving/grpcPort"),
        ("serving.grpcPort=9090", "serving.grpcPort and serving.metricsPort are both 9090. Give each its own"),
        ("serving.claim.size=5", "/serving/claim/size"),
        ("serving.serviceMonitor.interval=half", "/serving/serviceMonitor/interval"),
        ("serving.dashboard.labels=null", "missing property 'labels'"),
        ("serving.canary.storageUri=redrec-bundles/second", "/serving/canary/storageUri"),
        ("serving.canary.storageUri=s3://b/1,serving.canary.trafficPercent=101", "/serving/canary/trafficPercent"),
        (
            "serving.canary.trafficPercent=5",
            "trafficPercent is 5, and serving.canary.storageUri is not given. Give the",
        ),
        (
            "serving.storageUri=s3://b/1,serving.canary.storageUri=s3://b/1",
            "serving.canary.storageUri and serving.storageUri are both s3://b/1. End the canary",
        ),
        ("serving.canary.storageUri=s3://b/1,experiment.enabled=true", "Leave the canary out until the experiment has"),
        ("serving.keda.enabled=true,serving.keda.serverAddress=prometheus:9090", "/serving/keda/serverAddress"),
        ("serving.keda.enabled=true", "serving.keda.serverAddress is not given. Give the address of Prometheus"),
        (f"{KEDA},serving.keda.query=up", "serving.minReplicas and serving.maxReplicas are both 1. Raise maxReplicas"),
        (f"{KEDA},serving.maxReplicas=2", "Enable serving.serviceMonitor, or give a query"),
        (f"{KEDA},serving.maxReplicas=2,serving.keda.threshold=0.5", "/serving/keda/threshold"),
        (
            "pipelines.enabled=true",
            "pipelines.image.tag is not given. Give the repository and the tag that `make images`",
        ),
        ("pipelines.enabled=true,pipelines.image.tag=a", "pipelines.host is not given. Give the address of Kubeflow"),
        ("pipelines.schedules[0].cron=0 3 * * *", "/pipelines/schedules/0/cron"),
        ("pipelines.schedules[0].pipeline=release", "/pipelines/schedules/0/pipeline"),
        ("pipelines.host=ml-pipeline:8888", "/pipelines/host"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, complaint: str) -> None:
    words = [helm(), "template", CHART, "--values", DEFAULT, "--set", setting]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "setting",
    [
        "serving.storageUri=hf://team/bundle",
        "serving.storageUri=oci://registry/bundle:7",
        "serving.resources.limits.memory=1.5Gi",
        "serving.resources.limits.cpu=4",
        "serving.claim.size=1.5Gi",
        "serving.claim.accessMode=ReadWriteOncePod",
    ],
)
def test_a_valid_value_is_taken(setting: str) -> None:
    assert setting.split("=")[1] in yaml.safe_dump(render("--set", setting))


def notes(*settings: str) -> str:
    """Return what `helm install` says without a cluster."""
    options = [f"--set={setting}" for setting in settings]
    said = run(helm(), "install", "redrec", CHART, "--dry-run=client", "--values", DEFAULT, *options)
    return said.partition("NOTES:")[2]


def test_the_notes_notice_an_empty_claim_and_an_image_of_another_version() -> None:
    new = "The claim redrec-bundles is new and empty. The pods restart until a run folder is copied"
    older = f"The image's tag is 0.0.9-4f2a, and this chart is of version {__version__}. Give a newer serving.image.tag"
    assert new in notes() and "The image's tag" not in notes()
    assert new not in notes("serving.storageUri=s3://redrec/first")
    assert older in notes("serving.image.tag=0.0.9-4f2a")


def test_a_release_of_another_name_has_matching_names() -> None:
    objects = render(release="shop")
    predictor = objects["InferenceService"]["spec"]["predictor"]
    assert predictor["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"] == "shop-redrec"
    assert predictor["model"]["runtime"] == objects["ServingRuntime"]["metadata"]["name"] == "shop-redrec"
    assert predictor["model"]["storageUri"] == "pvc://shop-redrec-bundles/demo"


def test_two_releases_in_a_namespace_share_no_object() -> None:
    first, second = names(render(release="shop")), names(render(release="news"))
    assert set(first) == set(second)
    assert not set(first.values()) & set(second.values())


def test_production_settings_reach_their_objects() -> None:
    objects = render_shape("object-store")
    container = objects["ServingRuntime"]["spec"]["containers"][0]
    assert container["image"] == "registry.example.com/redrec-serving:0.1.0-0123456789ab"
    assert container["env"] == [{"name": "REDREC_MILVUS_URI", "value": "https://milvus.milvus.svc:19530"}]
    secrets = [entry["secretRef"] for entry in container["envFrom"]]
    assert secrets == [{"name": name, "optional": True} for name in ("redrec-redis", "milvus-login")]
    assert objects["ServiceAccount"]["secrets"] == [{"name": "redrec-object-store"}]
    assert objects["InferenceService"]["spec"]["predictor"]["model"]["storageUri"] == "s3://redrec/runs/2026-11-22"
    assert "PersistentVolumeClaim" not in objects


def test_the_claim_takes_its_settings() -> None:
    claim = render_shape("shared-claim")["PersistentVolumeClaim"]
    assert claim["metadata"]["name"] == "runs"
    assert claim["spec"]["storageClassName"] == "shared"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_pods_scale_with_their_cpu_use_if_there_may_be_more() -> None:
    scaled, fixed = (
        objects["InferenceService"]["spec"]["predictor"] for objects in (render_shape("shared-claim"), render())
    )
    assert (scaled["maxReplicas"], scaled["scaleMetric"], scaled["scaleTarget"]) == (4, "cpu", 60)
    assert fixed["minReplicas"] == fixed["maxReplicas"] and not {"scaleMetric", "scaleTarget"} & set(fixed)


def test_keda_scales_with_what_prometheus_reads_at_the_service() -> None:
    service = render_shape("keda")["InferenceService"]
    predictor = service["spec"]["predictor"]
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "keda"
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 8)
    assert not {"scaleMetric", "scaleTarget"} & set(predictor)  # KServe refuses them beside KEDA
    (metric,) = predictor["autoScaling"]["metrics"]
    total = f'{SECONDS.describe()[0].name}_sum{{namespace="default", job="redrec-predictor"}}'
    prometheus = {"backend": "prometheus", "serverAddress": "http://prometheus-operated.monitoring:9090"}
    assert metric["external"]["metric"] == prometheus | {"query": f"sum(rate({total}[2m]))"}
    assert metric["external"]["target"] == {"type": "Value", "value": 4}


def test_a_query_of_ones_own_reaches_keda_as_it_is() -> None:
    query = 'sum(rate(redrec_answers_total{job="shop"}[5m]))'
    options = [
        f"--set={KEDA},serving.maxReplicas=2,serving.keda.threshold=200",
        f"--set-literal=serving.keda.query={query}",
    ]
    (metric,) = render(*options)["InferenceService"]["spec"]["predictor"]["autoScaling"]["metrics"]
    assert metric["external"]["metric"] == {
        "backend": "prometheus",
        "serverAddress": "http://prometheus:9090",
        "query": query,
    }
    assert metric["external"]["target"]["value"] == 200


def test_a_canary_serves_the_next_release_with_the_same_runtime_and_a_fixed_number_of_pods() -> None:
    service = render_shape("canary")["InferenceService"]
    (canary,), stable = service["spec"]["canary"], service["spec"]["predictor"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert (canary["trafficPercent"], canary["predictor"]["minReplicas"]) == (0, 1)
    assert canary["predictor"]["annotations"] == {"serving.kserve.io/autoscalerClass": "none"}
    model = {"name": "kserve-container", **stable["model"], "storageUri": "pvc://redrec-bundles/second"}
    assert canary["predictor"]["model"] == model
    fields = schema(".", "inferenceservices")["properties"]["canary"]["items"]["properties"]["predictor"]["properties"]
    assert {*fields["model"]["required"]} <= {*model}


@pytest.mark.parametrize(("percent", "num_pods"), [(0, 1), (1, 1), (50, 2), (51, 2), (67, 3), (100, 3)])
def test_a_canary_has_its_share_of_the_pods_and_at_least_one(percent: int, num_pods: int) -> None:
    values = CHART / "ci" / "canary-values.yaml"
    objects = render("--values", values, f"--set=serving.minReplicas=3,serving.canary.trafficPercent={percent}")
    (canary,) = objects["InferenceService"]["spec"]["canary"]
    assert canary["predictor"]["minReplicas"] == num_pods


def test_scheduling_settings_reach_the_pods() -> None:
    objects, values = render_shape("scheduling"), yaml.safe_load((CHART / "ci" / "scheduling-values.yaml").read_text())
    predictor, serving = objects["InferenceService"]["spec"]["predictor"], values["serving"]
    for name in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "imagePullSecrets"):
        assert predictor[name] == serving[name]
    assert (predictor["labels"], predictor["annotations"]) == (serving["podLabels"], serving["podAnnotations"])
    assert objects["ServingRuntime"]["spec"]["containers"][0]["env"] == serving["env"]
    assert objects["ServiceAccount"]["metadata"]["annotations"] == serving["serviceAccountAnnotations"]
    assert objects["NetworkPolicy"]["spec"]["ingress"][0]["from"] == serving["networkPolicy"]["from"]
    (subject,) = objects["RoleBinding"]["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "default-editor", "namespace": "default"}


def test_nothing_watches_by_default() -> None:
    assert not {"ServiceMonitor", "ConfigMap"} & set(render())


def test_the_server_the_monitor_and_the_policy_agree_on_the_ports() -> None:
    objects = render_shape("monitoring")
    monitor, (container,) = objects["ServiceMonitor"], objects["ServingRuntime"]["spec"]["containers"]
    http, grpc, metrics = container["ports"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"] == [{"port": metrics["name"], "path": "/metrics", "interval": "15s"}]
    served = parse_arguments(container["args"])
    served_ports = [served.http_port, served.grpc_port, served.metrics_port]
    assert [port["containerPort"] for port in (http, grpc, metrics)] == served_ports
    callers, readers = objects["NetworkPolicy"]["spec"]["ingress"]
    assert [port["port"] for rule in (callers, readers) for port in rule["ports"]] == served_ports
    assert "istio-system" in str(callers["from"]) and "monitoring" in str(readers["from"])


def test_grpc_may_be_off() -> None:
    objects = render("--values", CHART / "ci" / "monitoring-values.yaml", "--set", "serving.grpcPort=0")
    runtime = objects["ServingRuntime"]["spec"]
    assert [port["name"] for port in runtime["containers"][0]["ports"]] == ["http", "metrics"]
    assert parse_arguments(runtime["containers"][0]["args"]).grpc_port is None
    assert "grpc-v2" not in runtime["protocolVersions"]
    assert "8081" not in str(objects["NetworkPolicy"])


def test_the_dashboard_arrives_as_it_is() -> None:
    dashboard = render_shape("monitoring")["ConfigMap"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "redrec"
    assert json.loads(dashboard["data"]["redrec.json"]) == json.loads((CHART / "dashboard.json").read_text())


def commands() -> list[argparse.Namespace]:
    """Return what redrec reads in each container of the pipelines' Job, after Kubernetes has replaced `$$`."""
    pod = render_shape("pipelines")["Job"]["spec"]["template"]["spec"]
    containers = [*pod["initContainers"], *pod["containers"]]
    return [parser().parse_args([word.replace("$$", "$") for word in one["args"]]) for one in containers]


def test_every_pipeline_is_compiled_and_registered_if_enabled() -> None:
    assert "Job" not in render()
    done = [(one.command, (one.out if one.command == "compile" else one.package).stem) for one in commands()]
    pairs = product(["train", "refresh", "monitor", "experiment"], ["compile", "register"])
    assert done[:-2] == [(command, name) for name, command in pairs]
    targets = {(one.host, one.namespace) for one in commands() if one.command != "compile"}
    assert targets == {("http://ml-pipeline.kubeflow.svc:8888", "discovery")}


def test_the_schedules_arrive_as_they_are() -> None:
    drift, gate = commands()[-2:]
    values = yaml.safe_load((CHART / "ci" / "pipelines-values.yaml").read_text())["pipelines"]["schedules"]
    for schedule, command in zip(values, (drift, gate), strict=True):
        assert command.command == "submit"
        assert (command.package.stem, check_cron(command.cron)) == (schedule["pipeline"], schedule["cron"])
        assert command.name == command.experiment == schedule["name"]
    assert set(gate.parameters) == {f"{name}={value}" for name, value in values[1]["parameters"].items()}
    assert set(drift.parameters) == {
        "events=s3://bucket/$(date)/events.parquet",
        'items=it\'s $$5 "here".parquet',
        "retrain=true",
        "deploy_timeout_s=1000000",
    }


def test_the_settings_are_those_that_compile_reads(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(render_shape("pipelines")["ConfigMap"]["data"][file.name])
    assert load_config(ClusterSettings, file).node_selector == {"pool": "training"}
    assert {one.settings.name for one in commands() if one.command == "compile"} == {file.name}


def test_the_token_is_where_the_command_line_looks_for_it() -> None:
    pod = render_shape("pipelines")["Job"]["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    (token,) = [volume["projected"]["sources"] for volume in pod["volumes"] if volume["name"] == "token"]
    assert f"{mounts['token']}/{token[0]['serviceAccountToken']['path']}" == TOKEN


def test_the_readme_has_the_values_as_they_are() -> None:
    assert (CHART / "README.md").read_text(encoding="utf-8") == readme(), "write it: make format"


@pytest.mark.parametrize(("trains", "rights"), [("false", {*deploy.RIGHTS}), ("true", {*deploy.RIGHTS, *train.RIGHTS})])
def test_the_role_of_the_deployers_has_the_rights_that_their_steps_use_and_no_other(
    trains: str, rights: set[tuple[str, str, str]]
) -> None:
    rules = render("--set", f"deployersTrain={trains}")["Role"]["rules"]
    granted = {right for rule in rules for right in product(rule["verbs"], rule["apiGroups"], rule["resources"])}
    assert granted == rights


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == chart["version"] == project["version"]
