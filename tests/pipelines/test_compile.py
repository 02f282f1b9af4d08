"""The compiled pipelines: they parse as in the backend, and each step depends on the steps that it reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from components.images import TELEMETRY_OFF
from feature_repo.store import SECRET, VARIABLES
from pipelines.compile import compile_pipeline


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = compile_pipeline("training", tmp_path_factory.mktemp("compiled") / "training.yaml")
    return next(yaml.safe_load_all(out.read_text()))  # the second document is for Kubernetes only


def parse(document: dict[str, Any]) -> spec_pb2.PipelineSpec:
    """Parse strictly; executors are in a free-form Struct, so only a second parse finds typos in them."""
    spec = json_format.ParseDict(document, spec_pb2.PipelineSpec())
    for executor in spec.deployment_spec["executors"].values():
        json_format.ParseDict(json_format.MessageToDict(executor), spec_pb2.PipelineDeploymentConfig.ExecutorSpec())
    return spec


def test_the_compiled_pipeline_parses(compiled: dict[str, Any]):
    spec = parse(compiled)
    assert spec.pipeline_info.name == "redrec-training"
    assert len(spec.deployment_spec["executors"]) == 7


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
        "prepare-data": set(),
        "train-towers": {"prepare-data"},
        "redrec-release-steps": {"prepare-data", "train-towers"},
    }
    assert dependencies(compiled["components"]["comp-redrec-release-steps"]) == {
        "evaluate-model": set(),
        "materialize-features": set(),
        "build-bundle": {"evaluate-model", "materialize-features"},
        "report-drift": set(),
        "condition-1": {"build-bundle"},
    }


def test_a_release_has_the_same_steps_as_after_training(compiled: dict[str, Any], tmp_path: Path):
    out = compile_pipeline("release", tmp_path / "release.yaml")
    released = next(yaml.safe_load_all(out.read_text()))
    name = "comp-redrec-release-steps"
    assert released["components"][name] == compiled["components"][name]
    assert dependencies(released["root"]) == {
        "importer": set(),
        "importer-2": set(),
        "redrec-release-steps": {"importer", "importer-2"},
    }


def test_deployment_waits_for_the_release_and_for_consent(compiled: dict[str, Any]):
    condition = compiled["components"]["comp-redrec-release-steps"]["dag"]["tasks"]["condition-1"]
    assert condition["triggerPolicy"]["condition"] == "inputs.parameter_values['pipelinechannel--deploy'] == true"
    assert set(compiled["components"]["comp-condition-1"]["dag"]["tasks"]) == {"deploy-bundle"}


def test_conditions_read_parameters_only(compiled: dict[str, Any]):
    """A condition on a named output is silently false in the local runner (kfp 2.17.0)."""
    conditions = []
    for component in [compiled["root"], *compiled["components"].values()]:
        for task in component.get("dag", {}).get("tasks", {}).values():
            if "condition" in task.get("triggerPolicy", {}):
                conditions.append(task["triggerPolicy"]["condition"])
    assert len(conditions) == 1
    assert "-Output" not in conditions[0] and "artifact" not in conditions[0]


def test_no_step_reports_home_or_installs_packages(compiled: dict[str, Any]):
    for executor in compiled["deploymentSpec"]["executors"].values():
        container = executor["container"]
        assert {entry["name"]: entry["value"] for entry in container["env"]} == TELEMETRY_OFF
        assert "pip install" not in " ".join(container["command"])


def test_the_image_of_a_step_names_python_and_a_fixed_tag(compiled: dict[str, Any]):
    for executor in compiled["deploymentSpec"]["executors"].values():
        _, tag = executor["container"]["image"].rsplit(":", 1)
        assert "python" in tag and tag != "latest"


def test_every_pipeline_parameter_is_described(compiled: dict[str, Any]):
    parameters = compiled["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {"events", "items", "recipe", "milvus_uri", "deploy", "namespace"}
    assert all(parameter["description"] for parameter in parameters.values())


def test_the_address_of_the_online_store_comes_from_the_secret(tmp_path: Path):
    """The Secret may be absent: the online store is then a file of the run."""
    _, platform = yaml.safe_load_all(compile_pipeline("training", tmp_path / "training.yaml").read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    (secret,) = executors["exec-materialize-features"]["secretAsEnv"]
    assert secret["secretName"] == SECRET
    assert secret["optional"]
    assert {pair["secretKey"] for pair in secret["keyToEnv"]} == set(VARIABLES)
