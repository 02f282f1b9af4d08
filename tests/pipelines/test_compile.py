"""The compiled pipelines: they parse as in the backend, and each step depends on the steps that it reads."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from feature_repo.store import SECRET, VARIABLES
from jobs.pod import TELEMETRY_OFF
from pipelines.compile import PIPELINES, compile_pipeline
from pipelines.settings import WITHOUT_RETRIES, TrainRun
from redrec.index import server
from tests.pipelines.stubs import read_documents, run_stubbed

TABLES = {"events": "s3://bucket/events.parquet", "items": "/mnt/claim/items.csv"}
EXPERIMENT = {
    "exposures": "e.parquet",
    "outcomes": "o.parquet",
    "plan": "{}",
    "treatment": "/mnt/new",
    "control": "/mnt/old",
}
RESULTS: dict[str, Any] = {
    "identify_inputs": ("tables", "live"),
    "materialize_features": "hash",
    "report_drift": "stable",
    "check_quality": "pass",
    "publish_bundle": "uri",
    "deploy_bundle": "url",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compiled")
    return {name: compile_pipeline(name, folder / f"{name}.yaml") for name in PIPELINES}


@pytest.fixture(scope="module")
def pipelines(files: dict[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The two documents of each pipeline: the second one is for Kubernetes only."""
    return {name: read_documents(file) for name, file in files.items()}


@pytest.fixture(scope="module")
def compiled(pipelines: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return pipelines["train"][0]


def parse(document: dict[str, Any]) -> spec_pb2.PipelineSpec:
    """Parse strictly; executors are in a free-form Struct, so only a second parse finds typos in them."""
    spec = json_format.ParseDict(document, spec_pb2.PipelineSpec())
    for executor in spec.deployment_spec["executors"].values():
        json_format.ParseDict(json_format.MessageToDict(executor), spec_pb2.PipelineDeploymentConfig.ExecutorSpec())
    return spec


def executors_on_kubernetes(platform: dict[str, Any]) -> dict[str, Any]:
    """Return each executor's settings, parsed strictly."""
    json_format.ParseDict(platform, spec_pb2.PlatformSpec())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for executor in executors.values():
        json_format.ParseDict(executor, kubernetes_pb2.KubernetesExecutorConfig())
    return executors


def conditions(compiled: dict[str, Any]) -> set[str]:
    texts = set()
    for component in [compiled["root"], *compiled["components"].values()]:
        for task in component.get("dag", {}).get("tasks", {}).values():
            if "condition" in task.get("triggerPolicy", {}):
                texts.add(task["triggerPolicy"]["condition"])
    return texts


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_parses_and_compiles_to_the_same_bytes_again(
    name: str, files: dict[str, Path], pipelines: dict[str, list[dict[str, Any]]], tmp_path: Path
):
    document, platform = pipelines[name]
    assert parse(document).pipeline_info.name == f"redrec-{name}"
    assert executors_on_kubernetes(platform)
    assert compile_pipeline(name, tmp_path / "again.yaml").read_bytes() == files[name].read_bytes()


def test_a_misspelt_field_does_not_parse(compiled: dict[str, Any]):
    executors = compiled["deploymentSpec"]["executors"]
    name = next(iter(executors))
    container = {**executors[name]["container"], "imagee": "x"}
    broken = {**compiled, "deploymentSpec": {"executors": {**executors, name: {"container": container}}}}
    with pytest.raises(json_format.ParseError, match="imagee"):
        parse(broken)


def dependencies(component: dict[str, Any]) -> dict[str, set[str]]:
    tasks = component["dag"]["tasks"]
    return {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}


def test_each_step_waits_for_its_inputs(compiled: dict[str, Any]):
    assert dependencies(compiled["root"]) == {
        "identify-inputs": set(),
        "prepare-data": {"identify-inputs"},
        "train-towers": {"prepare-data"},
        "redrec-release-steps": {"identify-inputs", "prepare-data", "train-towers"},
    }
    assert dependencies(compiled["components"]["comp-redrec-release-steps"]) == {
        "evaluate-model": set(),
        "check-quality": {"evaluate-model"},
        "materialize-features": set(),
        "build-bundle": {"evaluate-model", "materialize-features"},
        "report-drift": set(),
        "condition-1": {"build-bundle", "check-quality"},
    }


def test_a_release_has_the_same_steps_as_after_training(
    compiled: dict[str, Any], pipelines: dict[str, list[dict[str, Any]]]
):
    released = pipelines["release"][0]
    name = "comp-redrec-release-steps"
    assert released["components"][name] == compiled["components"][name]
    assert dependencies(released["root"]) == {
        "importer": set(),
        "importer-2": set(),
        "redrec-release-steps": {"importer", "importer-2"},
    }


def test_publication_and_deployment_wait_for_the_release_and_for_the_quality_gate(compiled: dict[str, Any]):
    decision = "inputs.parameter_values['pipelinechannel--check-quality-Output']"
    assert conditions(compiled) == {f"{decision} != 'refuse'", f"{decision} == 'deploy'"}
    assert dependencies(compiled["components"]["comp-condition-1"]) == {
        "publish-bundle": set(),
        "condition-2": {"publish-bundle"},
    }
    (deployment,) = compiled["components"]["comp-condition-2"]["dag"]["tasks"].values()
    uri = deployment["inputs"]["parameters"]["uri"]["componentInputParameter"]
    assert uri == "pipelinechannel--publish-bundle-Output"


def test_conditions_read_the_returned_value_of_a_step(pipelines: dict[str, list[dict[str, Any]]]):
    """A condition on another output of a step is silently false in the local runner (kfp 2.17.0)."""
    seen = set()
    for compiled, _ in pipelines.values():
        seen |= conditions(compiled)
    given = ("['pipelinechannel--model']", "['pipelinechannel--allocation']")  # refresh and experiment have one or none
    of_steps = {condition for condition in seen if not any(name in condition for name in given)}
    assert (len(seen), len(of_steps)) == (9, 5)
    assert all("-Output'] " in condition for condition in of_steps)


@pytest.mark.parametrize(
    ("pipeline", "arguments", "results", "expected"),
    [
        ("train", TABLES, {"check_quality": "deploy"}, {"publish-bundle": True, "deploy-bundle": True}),
        ("train", TABLES, {"check_quality": "pass"}, {"publish-bundle": True, "deploy-bundle": False}),
        (
            "monitor",
            TABLES,
            {"report_drift": "train", "check_quality": "refuse"},
            {"train-towers": True, "report-drift-2": False, "publish-bundle": False, "deploy-bundle": False},
        ),
        ("monitor", TABLES, {"report_drift": "drift"}, {"train-towers": False, "report-drift": True}),
        ("experiment", EXPERIMENT, {"decide_experiment": "promote"}, {"deploy-bundle": True, "deploy-bundle-2": False}),
        (
            "experiment",
            EXPERIMENT,
            {"decide_experiment": "rollback"},
            {"deploy-bundle": False, "deploy-bundle-2": True},
        ),
        ("experiment", EXPERIMENT, {"decide_experiment": "hold"}, {"deploy-bundle": False, "apply-decisions": False}),
        (
            "experiment",
            EXPERIMENT | {"allocation": "redrec-allocation"},
            {"decide_experiment": "promote"},
            {"apply-decisions": True, "deploy-bundle": False, "deploy-bundle-2": False},
        ),
        ("refresh", TABLES, {}, {"materialize-features": True, "embed-items": False, "publish-bundle": False}),
        (
            "refresh",
            TABLES | {"model": "/mnt/new"},
            {"check_quality": "deploy"},
            {"materialize-features": False, "embed-items": True, "publish-bundle": True, "deploy-bundle": True},
        ),
    ],
)
def test_each_branch_runs_if_its_condition_holds(
    pipeline: str, arguments: dict[str, Any], results: dict[str, str], expected: dict[str, bool], tmp_path: Path
):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
    arguments = {key: str(value).replace("/mnt", str(tmp_path)) for key, value in arguments.items()}
    ran = run_stubbed(pipeline, tmp_path, arguments, RESULTS | results)
    assert {step: step in ran for step in expected} == expected


def test_drift_is_reported_anew_where_a_history_is_read(pipelines: dict[str, list[dict[str, Any]]]):
    """The history is outside the run, so a cached result would miss a window; after training there is none."""
    (monitor, _), (train, _) = pipelines["monitor"], pipelines["train"]
    assert monitor["root"]["dag"]["tasks"]["report-drift"]["cachingOptions"] == {}
    steps = train["components"]["comp-redrec-release-steps"]["dag"]["tasks"]
    assert steps["report-drift"]["cachingOptions"] == {"enableCache": True}


def test_drift_starts_a_run_of_its_own_where_the_settings_name_the_api(tmp_path: Path):
    settings = WITHOUT_RETRIES.model_copy(update={"train_run": TrainRun(host="http://api:8888", namespace="team-a")})
    results = RESULTS | {"report_drift": "train", "start_training": "url"}
    ran = run_stubbed("monitor", tmp_path, TABLES, results, settings)
    assert ran == {"identify-inputs", "prepare-data", "report-drift", "start-training"}
    monitor, platform = read_documents(compile_pipeline("monitor", tmp_path / "monitor.yaml", settings))
    (start,) = (steps for name, steps in monitor["components"].items() if name.startswith("comp-condition"))
    given = start["dag"]["tasks"]["start-training"]["inputs"]["parameters"]
    assert given["target"]["runtimeValue"]["constant"] == {
        "host": "http://api:8888",
        "namespace": "team-a",
        "experiment": "redrec",
    }
    train = read_documents(compile_pipeline("train", tmp_path / "train.yaml"))[0]
    assert train["pipelineInfo"]["name"] == given["pipeline"]["runtimeValue"]["constant"]
    assert set(given) - {"target", "pipeline"} == set(train["root"]["inputDefinitions"]["parameters"])
    assert start["dag"]["tasks"]["start-training"]["cachingOptions"] == {}
    labels = executors_on_kubernetes(platform)["exec-start-training"]["podMetadata"]["labels"]
    assert labels == {"access-ml-pipeline": "true"}


def test_no_step_reports_home_or_installs_packages(pipelines: dict[str, list[dict[str, Any]]]):
    for compiled, _ in pipelines.values():
        for executor in compiled["deploymentSpec"]["executors"].values():
            if "importer" not in executor:
                container = executor["container"]
                assert {entry["name"]: entry["value"] for entry in container["env"]} == TELEMETRY_OFF
                assert "pip install" not in " ".join(container["command"])


def test_the_image_of_a_step_names_python_and_a_fixed_tag(compiled: dict[str, Any]):
    for executor in compiled["deploymentSpec"]["executors"].values():
        _, tag = executor["container"]["image"].rsplit(":", 1)
        assert "python" in tag and tag != "latest"


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_and_parameters_are_described_and_typed(name: str, pipelines: dict[str, list[dict[str, Any]]]):
    compiled = pipelines[name][0]
    assert compiled["pipelineInfo"]["displayName"].startswith("redrec: ") and compiled["pipelineInfo"]["description"]
    parameters = compiled["root"]["inputDefinitions"]["parameters"]
    assert all(parameter["description"] for parameter in parameters.values())
    assert all(parameter["parameterType"] for parameter in parameters.values())


def test_what_changes_from_run_to_run_is_a_parameter(compiled: dict[str, Any]):
    parameters = compiled["root"]["inputDefinitions"]["parameters"]
    assert {name: parameter.get("defaultValue") for name, parameter in parameters.items()} == {
        "events": None,
        "items": None,
        "recipe": "",
        "live": "",
        "milvus_uri": "",
        "releases": "",
        "deploy": False,
        "namespace": "",
        "service": "redrec",
        "deploy_timeout_s": 600,
    }


def test_reports_are_artifacts_that_the_ui_shows(compiled: dict[str, Any]):
    artifacts = {}
    for name in ("check-quality", "report-drift", "evaluate-model"):
        outputs = compiled["components"][f"comp-{name}"]["outputDefinitions"]["artifacts"]
        artifacts[name] = {output["artifactType"]["schemaTitle"] for output in outputs.values()}
    assert artifacts == {
        "check-quality": {"system.Artifact", "system.Markdown"},
        "report-drift": {"system.Artifact", "system.Markdown", "system.HTML"},
        "evaluate-model": {"system.Artifact", "system.Metrics"},
    }


def test_the_address_of_the_online_store_comes_from_the_secret(pipelines: dict[str, list[dict[str, Any]]]):
    """The Secret may be absent: the online store is then a file of the run."""
    (secret,) = executors_on_kubernetes(pipelines["train"][1])["exec-materialize-features"]["secretAsEnv"]
    assert secret["secretName"] == SECRET
    assert secret["optional"]
    assert {pair["secretKey"] for pair in secret["keyToEnv"]} == set(VARIABLES)


def test_the_login_of_milvus_comes_from_its_secret(pipelines: dict[str, list[dict[str, Any]]]):
    (secret,) = executors_on_kubernetes(pipelines["train"][1])["exec-build-bundle"]["secretAsEnv"]
    assert (secret["secretName"], secret["optional"]) == ("redrec-milvus", True)
    assert {pair["envVar"] for pair in secret["keyToEnv"]} == set(server.VARIABLES.values())
