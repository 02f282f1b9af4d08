"""The settings reach every step: resources, time limits, retries, nodes, claims and Secrets."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipelines.compile import compile_pipeline
from pipelines.settings import TITLES, ClusterSettings, StepSettings
from redrec.config import InputError, validated
from tests.pipelines.stubs import read_documents, run_stubbed
from tests.pipelines.test_compile import EXPERIMENT, RESULTS, TABLES, executors_on_kubernetes, parse

SETTINGS = ClusterSettings.model_validate(
    {
        "steps": {
            "train_towers": {"num_gpus": 1, "memory_limit": "32Gi", "timeout_s": 7200},
            "evaluate_model": {
                "cpu_request": "1",
                "cpu_limit": "2",
                "memory_request": "2Gi",
                "num_retries": 5,
            },
        },
        "gpu_resource": "amd.com/gpu",
        "node_selector": {"pool": "batch"},
        "tolerations": [{"key": "batch", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
        "claims": {"tables": "/mnt/tables"},
        "secrets": {"object-store": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]},
        "image_pull_secrets": ["registry"],
        "user_id": 10001,
    }
)


class Compiled(NamedTuple):
    """The steps of a pipeline by name, their containers and their settings on Kubernetes by executor."""

    tasks: dict[str, Any]
    containers: dict[str, Any]
    on_kubernetes: dict[str, Any]


def compiled(out: Path, settings: ClusterSettings) -> Compiled:
    document, platform = read_documents(compile_pipeline("train", out, settings))
    parse(document)
    tasks = {}
    for component in [document["root"], *document["components"].values()]:
        tasks |= component.get("dag", {}).get("tasks", {})
    containers = {name: executor["container"] for name, executor in document["deploymentSpec"]["executors"].items()}
    return Compiled(tasks, containers, executors_on_kubernetes(platform))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compiled(tmp_path_factory.mktemp("settings") / "plain.yaml", ClusterSettings())


@pytest.fixture(scope="module")
def with_settings(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compiled(tmp_path_factory.mktemp("settings") / "set.yaml", SETTINGS)


def test_every_step_has_requests_limits_a_time_limit_and_a_title(plain: Compiled):
    for name, container in plain.containers.items():
        assert set(container["resources"]) >= {
            "resourceCpuLimit",
            "resourceCpuRequest",
            "resourceMemoryLimit",
            "resourceMemoryRequest",
        }
        assert int(plain.on_kubernetes[name]["activeDeadlineSeconds"]) >= 3600
        assert plain.on_kubernetes[name]["securityContext"]["runAsNonRoot"]
        assert plain.tasks[name.removeprefix("exec-")]["taskInfo"]["name"] in TITLES.values()


def test_what_is_set_for_one_step_leaves_its_other_defaults(with_settings: Compiled):
    training = with_settings.containers["exec-train-towers"]["resources"]
    assert (training["resourceMemoryLimit"], training["resourceCpuLimit"]) == ("32Gi", "8")
    assert (training["accelerator"]["resourceType"], training["accelerator"]["resourceCount"]) == ("amd.com/gpu", "1")
    assert with_settings.on_kubernetes["exec-train-towers"]["activeDeadlineSeconds"] == "7200"
    evaluation = with_settings.containers["exec-evaluate-model"]["resources"]
    assert (evaluation["resourceCpuRequest"], evaluation["resourceMemoryRequest"]) == ("1", "2Gi")
    assert "accelerator" not in evaluation


def test_where_pods_run_and_what_they_see_holds_for_every_step(with_settings: Compiled):
    for name in with_settings.containers:
        pod = with_settings.on_kubernetes[name]
        assert pod["nodeSelector"]["labels"] == {"pool": "batch"}
        assert pod["tolerations"][0]["value"] == "yes"
        assert pod["pvcMount"][0]["mountPath"] == "/mnt/tables"
        assert pod["secretAsEnv"][0]["secretName"] == "object-store"
        assert pod["imagePullSecret"][0]["secretName"] == "registry"
        assert int(pod["securityContext"]["runAsUser"]) == 10001


def test_retries_wait_longer_each_time_and_a_deployment_is_not_repeated(with_settings: Compiled):
    assert with_settings.tasks["evaluate-model"]["retryPolicy"] == {
        "maxRetryCount": 5,
        "backoffDuration": "30s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "600s",
    }
    assert "retryPolicy" not in with_settings.tasks["deploy-bundle"]


def test_results_come_from_the_cache_where_the_inputs_are_the_same(plain: Compiled):
    steps = {step.replace("_", "-") for step in TITLES}
    cached = {name for name, task in plain.tasks.items() if task.get("cachingOptions", {}).get("enableCache")} & steps
    assert cached == {"prepare-data", "train-towers", "evaluate-model", "check-quality", "build-bundle", "report-drift"}


def test_a_cached_step_that_reads_a_uri_is_keyed_by_its_content(plain: Compiled):
    prepared, released = (
        plain.tasks[name]["inputs"]["parameters"] for name in ("prepare-data", "redrec-release-steps")
    )
    tables, live = prepared["identity"]["taskOutputParameter"], released["live_identity"]["taskOutputParameter"]
    assert tables == {"outputParameterKey": "tables", "producerTask": "identify-inputs"}
    assert live == {"outputParameterKey": "live", "producerTask": "identify-inputs"}
    evaluated = plain.tasks["evaluate-model"]["inputs"]["parameters"]
    assert evaluated["live_identity"] == {"componentInputParameter": "live_identity"}


def test_the_same_content_is_prepared_once(tmp_path: Path):
    ran = [
        run_stubbed("refresh", tmp_path, TABLES, RESULTS | {"identify_inputs": (tables, "")})
        for tables in ("content", "content", "other content")
    ]
    assert [steps - {"identify-inputs", "materialize-features"} for steps in ran] == [
        {"prepare-data"},
        set(),
        {"prepare-data"},
    ]


TRAIN_JOB = {"train_job": {"claim": "shared", "num_nodes": 2, "num_processes": 4, "num_gpus": 4}}


@pytest.mark.parametrize("pipeline", ["train", "monitor"])
def test_training_by_a_train_job_is_a_step_that_mounts_its_claim(pipeline: str, tmp_path: Path):
    settings = SETTINGS.model_copy(update={"steps": {"train_by_job": StepSettings(timeout_s=7200)}})
    settings = ClusterSettings.model_validate(settings.model_dump() | TRAIN_JOB)
    document, platform = read_documents(compile_pipeline(pipeline, tmp_path / "by_job.yaml", settings))
    steps = executors_on_kubernetes(platform)
    assert "exec-train-towers" not in steps
    mounts = {mount["constant"]: mount["mountPath"] for mount in steps["exec-train-by-job"]["pvcMount"]}
    assert mounts == {"tables": "/mnt/tables", "shared": "/mnt/volume"}
    assert "shared" not in str(steps["exec-evaluate-model"])
    job = json.loads(constant_of(document, "train-by-job", "job"))
    assert (job["nodes"]["num_nodes"], job["volume"], job["timeout_s"]) == (2, "/mnt/volume", 7200)
    assert job["pods"] == {
        "node_selector": {"pool": "batch"},
        "tolerations": [{"key": "batch", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
        "image_pull_secrets": ["registry"],
        "gpu_resource": "amd.com/gpu",
        "user_id": 10001,
    }


def constant_of(document: dict[str, Any], task: str, parameter: str) -> str:
    for component in [document["root"], *document["components"].values()]:
        tasks = component.get("dag", {}).get("tasks", {})
        if task in tasks:
            return str(tasks[task]["inputs"]["parameters"][parameter]["runtimeValue"]["constant"])
    raise AssertionError(f"no {task}")


def test_a_claim_that_every_step_mounts_is_mounted_once(tmp_path: Path):
    settings = ClusterSettings.model_validate(TRAIN_JOB | {"claims": {"shared": "/mnt/data"}})
    document, platform = read_documents(compile_pipeline("train", tmp_path / "by_job.yaml", settings))
    (mount,) = executors_on_kubernetes(platform)["exec-train-by-job"]["pvcMount"]
    assert mount["mountPath"] == "/mnt/data"
    assert json.loads(constant_of(document, "train-by-job", "job"))["volume"] == "/mnt/data"


def test_resources_for_the_pod_that_does_not_train_are_refused():
    with pytest.raises(InputError, match="set its cpu, memory and num_gpus"):
        validated(ClusterSettings, TRAIN_JOB | {"steps": {"train_towers": {"num_gpus": 1}}}, "settings.yaml")


def test_the_end_of_a_run_is_reported_after_all_its_steps(tmp_path: Path):
    without_retries = {step: StepSettings(num_retries=0) for step in TITLES}
    settings = ClusterSettings(notify_url="http://chat.example/hook", steps=without_retries)
    ran = run_stubbed("experiment", tmp_path, EXPERIMENT, {"decide_experiment": "hold"}, settings)
    assert ran == {"decide-experiment", "report-end"}
