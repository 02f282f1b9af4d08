"""TrainJob: training on one or several nodes by Kubeflow Trainer, as objects for `kubectl apply`.

The runtime `torch-distributed` sets torchrun's PET_* variables (nodes, processes, rank, address of the first node), so
the command is the same on every node. All nodes mount one volume with data, checkpoints and the trained model. The Job
restarts a failed pod, and training resumes from the last checkpoint; so does a new TrainJob with the same recipe and
output folder. The recipe is stored in the job itself, so it cannot change while the job runs.

Kubeflow Trainer 2.1 has no `runtimePatches`; its own overrides cannot set the security contexts that a namespace with
PodSecurity `restricted` demands.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from jobs.pod import CONTAINER_SECURITY, POD_SECURITY, TELEMETRY_OFF, USER_ID, VOLUME, ClaimName, Folder, Memory
from redrec.config import Config, Record

GROUP, VERSION, RESOURCE = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
NODE = "node"  # name of the replicated job, and of its container, in the runtime `torch-distributed`
SERVICE_ACCOUNT = "redrec-training"
LABELS = {"app.kubernetes.io/name": "redrec", "app.kubernetes.io/component": "training"}
RECIPE = PurePosixPath("/etc/redrec/recipe.json")
RECIPE_ANNOTATION = "redrec/recipe"

# Names of pods and their host name, `<name>-node-0-<node>-<suffix>`, have 63 characters at most.
JobName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]


class TrainNodes(Config):
    """The nodes of a job: the claim that they mount, and their resources."""

    claim: ClaimName = Field(description="PersistentVolumeClaim with the data; ReadWriteMany for several nodes")
    num_nodes: PositiveInt = Field(1, description="number of nodes, one pod each")
    num_processes: PositiveInt = Field(1, description="processes per node")
    num_gpus: NonNegativeInt = Field(0, description="GPUs per node: none, or one per process")
    cpu: PositiveInt = Field(4, description="CPU cores per node")
    memory: Memory = Field("16Gi", description="memory per node")

    @model_validator(mode="after")
    def _each_process_has_its_gpu(self) -> "TrainNodes":
        if self.num_gpus not in (0, self.num_processes):
            raise ValueError(
                f"{self.num_gpus} GPUs and {self.num_processes} processes per node: a process takes one GPU, or none; "
                "give num_gpus = num_processes, or 0"
            )
        return self


class TrainJobConfig(TrainNodes):
    """Data and output folder of one job, and its nodes."""

    data: Folder = Field("data", description="data folder inside the claim, as `redrec validate --out` writes it")
    out: Folder = Field("model", description="model folder inside the claim; training resumes from a checkpoint in it")
    name: JobName = Field("redrec-training", description="name of the TrainJob")


class PodSettings(Record):
    """What the platform's settings say of every pod of a pipeline."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, str], ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    gpu_resource: str = "nvidia.com/gpu"
    user_id: int = USER_ID

    @property
    def spec(self) -> dict[str, Any]:
        """Its fields of a pod's spec, none that is empty."""
        secrets = [{"name": name} for name in self.image_pull_secrets]
        fields = {
            "securityContext": POD_SECURITY | {"runAsUser": self.user_id},
            "nodeSelector": self.node_selector,
            "tolerations": list(self.tolerations),
            "imagePullSecrets": secrets,
        }
        return {name: value for name, value in fields.items() if value}


ANY_NODE = PodSettings()


def train_job(
    config: TrainJobConfig,
    image: str,
    recipe: str = "{}",
    pods: PodSettings = ANY_NODE,
    timeout_s: int | None = None,
) -> list[dict[str, Any]]:
    """Return the job's ServiceAccount and the TrainJob.

    Args:
        config: Data, output folder and nodes.
        image: Image of the components.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON.
        pods: Where the pods of the nodes may run.
        timeout_s: After how many seconds the job has failed; never without.
    """
    job = _train_job(config, image, recipe, pods)
    if timeout_s is not None:
        job["spec"]["activeDeadlineSeconds"] = timeout_s
    return [_service_account(), job]


def _service_account() -> dict[str, Any]:
    """Return an account without Role and token: training calls no Kubernetes API."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "labels": LABELS},
        "automountServiceAccountToken": False,
    }


def _train_job(config: TrainJobConfig, image: str, recipe: str, pods: PodSettings) -> dict[str, Any]:
    node = {"name": NODE, "template": {"spec": {"template": _pod(config.claim, recipe, pods)}}}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        "metadata": {"name": config.name, "labels": LABELS},
        "spec": {
            "runtimeRef": {"name": "torch-distributed"},  # a ClusterTrainingRuntime that comes with Kubeflow Trainer
            "trainer": _trainer(config, image, pods.gpu_resource),
            "runtimePatches": [
                {
                    "manager": "redrec/train-job",
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
                }
            ],
        },
    }


def _trainer(config: TrainJobConfig, image: str, gpu_resource: str) -> dict[str, Any]:
    threads = max(
        1, config.cpu // config.num_processes
    )  # by default torch starts one per core of the machine, not of the pod
    environment = {**TELEMETRY_OFF, "HOME": "/tmp", "OMP_NUM_THREADS": str(threads)}
    resources = {"cpu": str(config.cpu), "memory": config.memory}
    if config.num_gpus:
        resources[gpu_resource] = str(config.num_gpus)
    return {
        "image": image,
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


def _pod(claim: str, recipe: str, pods: PodSettings) -> dict[str, Any]:
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
            **pods.spec,
            "volumes": [
                {"name": "volume", "persistentVolumeClaim": {"claimName": claim}},
                {"name": "recipe", "downwardAPI": {"items": [{"path": RECIPE.name, "fieldRef": recipe_field}]}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory"}},  # NCCL needs more than the 64 MB of a container
            ],
            "containers": [
                {
                    "name": NODE,
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [{"name": name, "mountPath": str(path)} for name, path in mounts.items()],
                }
            ],
        },
    }
