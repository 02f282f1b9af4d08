"""TrainJob: training on one or several nodes by Kubeflow Trainer, as objects for `kubectl apply`.

The runtime `torch-distributed` sets torchrun's PET_* variables (nodes, processes, rank, address of the first node), so
the command is the same on every node. All nodes mount one volume with data, checkpoints and the trained model. The Job
restarts a failed pod, and training resumes from the last checkpoint; so does a new TrainJob with the same recipe and
output folder. The recipe is stored in the job itself, so it cannot change while the job runs.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from components.images import PIPELINE_IMAGE, TELEMETRY_OFF
from jobs.pod import CONTAINER_SECURITY, POD_SECURITY, VOLUME, ClaimName, Folder, Memory
from redrec.config import Config

SERVICE_ACCOUNT = "redrec-training"
LABELS = {"app.kubernetes.io/name": "redrec", "app.kubernetes.io/component": "training"}
RECIPE = PurePosixPath("/etc/redrec/recipe.json")
RECIPE_ANNOTATION = "redrec/recipe"

# Names of pods and their host name, `<name>-node-0-<node>-<suffix>`, have 63 characters at most.
JobName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]


class TrainJobConfig(Config):
    """Data, output folder and resources of one job."""

    claim: ClaimName = Field(description="PersistentVolumeClaim with the data; ReadWriteMany for several nodes")
    data: Folder = Field("data", description="data folder inside the claim, as `redrec validate --out` writes it")
    out: Folder = Field("model", description="model folder inside the claim; training resumes from a checkpoint in it")
    name: JobName = Field("redrec-training", description="name of the TrainJob")
    num_nodes: PositiveInt = Field(1, description="number of nodes, one pod each")
    num_processes: PositiveInt = Field(1, description="processes per node")
    num_gpus: NonNegativeInt = Field(0, description="GPUs per node: none, or one per process")
    cpu: PositiveInt = Field(4, description="CPU cores per node")
    memory: Memory = Field("16Gi", description="memory per node")

    @model_validator(mode="after")
    def _each_process_has_its_gpu(self) -> "TrainJobConfig":
        if self.num_gpus not in (0, self.num_processes):
            raise ValueError(
                f"{self.num_gpus} GPUs and {self.num_processes} processes per node: a process takes one GPU, or none; "
                "give num_gpus = num_processes, or 0"
            )
        return self


def train_job(config: TrainJobConfig, recipe: str = "{}") -> list[dict[str, Any]]:
    """Return the job's ServiceAccount and the TrainJob; `recipe` holds fields of a recipe as JSON."""
    return [_service_account(), _train_job(config, recipe)]


def _service_account() -> dict[str, Any]:
    """Return an account without Role and token: training calls no Kubernetes API."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "labels": LABELS},
        "automountServiceAccountToken": False,
    }


def _train_job(config: TrainJobConfig, recipe: str) -> dict[str, Any]:
    node = {"name": "node", "template": {"spec": {"template": _pod(config.claim, recipe)}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": config.name, "labels": LABELS},
        "spec": {
            "runtimeRef": {"name": "torch-distributed"},  # a ClusterTrainingRuntime that comes with Kubeflow Trainer
            "trainer": _trainer(config),
            "runtimePatches": [
                {
                    "manager": "redrec/train-job",
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
                }
            ],
        },
    }


def _trainer(config: TrainJobConfig) -> dict[str, Any]:
    threads = max(
        1, config.cpu // config.num_processes
    )  # by default torch starts one per core of the machine, not of the pod
    environment = {**TELEMETRY_OFF, "HOME": "/tmp", "OMP_NUM_THREADS": str(threads)}
    resources = {"cpu": str(config.cpu), "memory": config.memory}
    if config.num_gpus:
        resources["nvidia.com/gpu"] = str(config.num_gpus)
    return {
        "image": PIPELINE_IMAGE,
        "command": ["torchrun"],
        "args": [
            *("-m", "redrec.training"),
            *("--data", str(VOLUME / config.data)),
            *("--out", str(VOLUME / config.out)),
            *("--recipe", str(RECIPE)),
        ],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "numNodes": config.num_nodes,
        "numProcPerNode": config.num_processes,
        "resourcesPerNode": {"requests": dict(resources), "limits": dict(resources)},
    }


def _pod(claim: str, recipe: str) -> dict[str, Any]:
    """Return the patch of each node's pod: volumes, account, and only the permissions that training needs."""
    recipe_field = {"fieldPath": f"metadata.annotations['{RECIPE_ANNOTATION}']"}
    mounts = {"volume": VOLUME, "recipe": RECIPE.parent, "tmp": "/tmp", "shm": "/dev/shm"}
    return {
        "metadata": {
            # In a Kubeflow profile, Istio's sidecar would block traffic between nodes and outlive the training.
            "labels": {**LABELS, "sidecar.istio.io/inject": "false"},
            "annotations": {RECIPE_ANNOTATION: recipe},
        },
        "spec": {
            "serviceAccountName": SERVICE_ACCOUNT,
            "securityContext": POD_SECURITY,
            "volumes": [
                {"name": "volume", "persistentVolumeClaim": {"claimName": claim}},
                {"name": "recipe", "downwardAPI": {"items": [{"path": RECIPE.name, "fieldRef": recipe_field}]}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory"}},  # NCCL needs more than the 64 MB of a container
            ],
            "containers": [
                {
                    "name": "node",
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [{"name": name, "mountPath": str(path)} for name, path in mounts.items()],
                }
            ],
        },
    }
