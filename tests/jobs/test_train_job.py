"""The TrainJob: Kubeflow Trainer's own models know its fields, and its command trains on two nodes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob as TrainJob
from torch.distributed.run import get_args_parser

from components.images import PIPELINE_IMAGE
from jobs.train_job import RECIPE, VOLUME, TrainJobConfig, train_job
from redrec.config import InputError, validated
from redrec.folders import ModelFolder, read_json
from redrec.training.config import OptimizerConfig
from redrec.training.presets import tiny
from tests.worlds import write_world


def job(recipe: str = "{}", **given: object) -> dict[str, Any]:
    return train_job(validated(TrainJobConfig, {"claim": "redrec-data", **given}, "options"), PIPELINE_IMAGE, recipe)[1]


def pod(job: dict[str, Any]) -> dict[str, Any]:
    (patch,) = job["spec"]["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    return node["template"]["spec"]["template"]


def read_back(job: dict[str, Any]) -> dict[str, Any]:
    """Return the job as Kubeflow Trainer's models parse it; they drop unknown fields."""
    return TrainJob.from_dict(job).to_dict()


@pytest.mark.parametrize("given", [{}, {"num_nodes": 4, "num_processes": 8, "num_gpus": 8}], ids=["CPU", "GPU"])
def test_kubeflow_knows_every_field(given: dict[str, int]):
    assert read_back(job(**given)) == job(**given)


@pytest.mark.parametrize("field", ["numNodes", "runtimePatches", "readOnlyRootFilesystem", "claimName", "fieldRef"])
def test_a_misspelt_field_is_not_known(field: str):
    misspelt = json.loads(json.dumps(job()).replace(f'"{field}"', f'"{field}s"'))
    assert misspelt != job()
    assert read_back(misspelt) != misspelt


def test_a_job_requests_the_given_resources():
    spec = job(num_nodes=4, num_processes=2, num_gpus=2, cpu=12, memory="64Gi")["spec"]
    trainer, resources = spec["trainer"], {"cpu": "12", "memory": "64Gi", "nvidia.com/gpu": "2"}
    assert spec["runtimeRef"] == {"name": "torch-distributed"}
    assert (trainer["numNodes"], trainer["numProcPerNode"], trainer["image"]) == (4, 2, PIPELINE_IMAGE)
    assert trainer["resourcesPerNode"] == {"requests": resources, "limits": resources}
    assert {"name": "OMP_NUM_THREADS", "value": "6"} in trainer["env"]


def test_the_pod_has_no_unneeded_permission():
    account, _ = train_job(TrainJobConfig(claim="redrec-data"), PIPELINE_IMAGE)
    spec = pod(job())["spec"]
    assert account["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == account["metadata"]["name"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_every_mount_has_its_volume():
    spec = pod(job())["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in spec["volumes"]}
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "redrec-data"}
    assert mounts["tmp"] == "/tmp"  # the only other writable folder


def test_the_recipe_is_a_file_in_the_pod():
    spec, metadata = pod(job('{"seed": 7}'))["spec"], pod(job('{"seed": 7}'))["metadata"]
    (item,) = next(v["downwardAPI"]["items"] for v in spec["volumes"] if v["name"] == "recipe")
    (annotation,) = metadata["annotations"]
    assert item == {"path": RECIPE.name, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
    assert json.loads(metadata["annotations"][annotation]) == {"seed": 7}


def test_name_and_folders_are_the_given_ones():
    given = job(claim="other", data="raw/data", out="runs/first", name="nightly")
    args = given["spec"]["trainer"]["args"]
    assert given["metadata"]["name"] == "nightly"
    assert pod(given)["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "other"}
    assert args[args.index("--data") + 1] == str(VOLUME / "raw/data")
    assert args[args.index("--out") + 1] == str(VOLUME / "runs/first")


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"claim": "Redrec_Data"}, "claim"),
        ({"num_nodes": 0}, "num_nodes: Input should be greater than 0"),
        ({"num_processes": 2, "num_gpus": 4}, "give num_gpus = num_processes, or 0"),
        ({"memory": "lots"}, "memory"),
        ({"name": "Train"}, "name"),
        *[
            ({"data": path}, "give a path relative to its root")
            for path in ("/etc", "../x", "a/../../x", ".", "", "a//b", "a b")
        ],
        ({"out": "/model"}, "give a path relative to its root"),
    ],
)
def test_what_cannot_run_is_refused(given: dict[str, Any], remedy: str):
    with pytest.raises(InputError, match=remedy):
        job(**given)


def test_a_claim_is_required():
    with pytest.raises(InputError, match="claim: missing"):
        validated(TrainJobConfig, {}, "options")


def controller_environment(node: int, num_processes: int, port: int) -> dict[str, str]:
    """Return what the runtime `torch-distributed` sets in the pod of a node, of two."""
    values = {"NNODES": 2, "NPROC_PER_NODE": num_processes, "NODE_RANK": node, "MASTER_ADDR": "127.0.0.1"}
    return {f"PET_{name}": str(value) for name, value in {**values, "MASTER_PORT": port}.items()}


def test_torchrun_takes_nodes_and_processes_from_the_runtime(monkeypatch: pytest.MonkeyPatch):
    for name, value in controller_environment(node=1, num_processes=3, port=29400).items():
        monkeypatch.setenv(name, value)
    parsed = get_args_parser().parse_args(job()["spec"]["trainer"]["args"])
    assert (parsed.nnodes, parsed.nproc_per_node, int(parsed.node_rank)) == ("2", "3", 1)
    assert (parsed.master_addr, int(parsed.master_port)) == ("127.0.0.1", 29400)
    assert parsed.module and parsed.training_script == "redrec.training"


@pytest.mark.slow
def test_two_nodes_train_one_model(tmp_path: Path):
    """The job's own command, twice, with the volume at `tmp_path`: both succeed and write one model."""
    assert write_world(tmp_path) == tmp_path / "data"
    recipe = tiny().model_copy(update={"optimizer": OptimizerConfig(num_steps=2)})
    trainer = job(recipe.model_dump_json())["spec"]["trainer"]
    (tmp_path / RECIPE.name).write_text(pod(job(recipe.model_dump_json()))["metadata"]["annotations"]["redrec/recipe"])
    words = [sys.executable, "-m", "torch.distributed.run"]
    for word in trainer["args"]:
        words.append(word.replace(str(VOLUME), str(tmp_path)).replace(str(RECIPE.parent), str(tmp_path)))

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {entry["name"]: entry["value"] for entry in trainer["env"]}
    nodes = [
        subprocess.Popen(
            words,
            env=os.environ | own | {"OMP_NUM_THREADS": "1"} | controller_environment(node, num_processes=1, port=port),
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    try:
        errors = [node.communicate(timeout=120)[1] for node in nodes]
    finally:
        for node in nodes:
            node.kill()

    assert [node.returncode for node in nodes] == [0, 0], errors
    model = ModelFolder(tmp_path / "model")
    assert model.tower.is_file()
    assert read_json(model.checkpoint / "state.json")["step"] == 2
