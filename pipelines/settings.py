"""Settings: how the steps run on a cluster; a pipeline is built for them, by `redrec compile --settings FILE`.

They belong to the platform, not to a run: resources, time limits and retries of each step, where its pod may run, which
claims and Secrets it sees. What changes from run to run is a parameter of the pipeline.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from kfp import dsl, kubernetes
from pydantic import Field, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from components.report_end import report_end
from feature_repo.store import SECRET, VARIABLES
from jobs.pod import TELEMETRY_OFF
from jobs.train_job import TrainNodes
from redrec.config import Config
from redrec.index import server

Step = Literal[
    "identify_inputs",
    "prepare_data",
    "train_towers",
    "embed_shard",
    "embed_items",
    "train_by_job",
    "evaluate_model",
    "check_quality",
    "materialize_features",
    "build_bundle",
    "report_drift",
    "start_training",
    "publish_bundle",
    "deploy_bundle",
    "decide_experiment",
    "apply_decisions",
    "report_end",
]
TITLES: dict[Step, str] = {
    "identify_inputs": "Identify the inputs",
    "prepare_data": "Check and prepare the data",
    "train_towers": "Train the towers",
    "embed_shard": "Embed new and changed items",
    "embed_items": "Merge the items' vectors",
    "train_by_job": "Train the towers by a TrainJob",
    "evaluate_model": "Evaluate beside live model and baselines",
    "check_quality": "Quality gate",
    "materialize_features": "Update the feature store",
    "build_bundle": "Embed, index and verify the bundle",
    "report_drift": "Report drift per scenario",
    "start_training": "Start a training for the reason given",
    "publish_bundle": "Publish the release",
    "deploy_bundle": "Deploy to KServe",
    "decide_experiment": "Decide the experiment",
    "apply_decisions": "Change the allocation",
    "report_end": "Report the end of the run",
}
# Their result is outside the run, or of the moment: a cached one would be wrong. What else reads a URI gets its
# identity from identify_inputs, since KFP's cache key has the values of parameters and the ids of artifacts.
NEVER_CACHED: set[Step] = {
    "identify_inputs",
    "decide_experiment",
    "apply_decisions",
    "materialize_features",
    "start_training",
    "publish_bundle",
    "deploy_bundle",
    "report_end",
}
BACKOFF, BACKOFF_FACTOR, MAX_BACKOFF = "30s", 2.0, "600s"
NO_GPU = 0
TOKEN_LABEL = "access-ml-pipeline"  # by it the PodDefault of a Kubeflow profile selects pods

Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class StepSettings(Config):
    cpu_request: Quantity = "500m"
    cpu_limit: Quantity = "4"
    memory_request: Quantity = "1Gi"
    memory_limit: Quantity = "8Gi"
    num_gpus: NonNegativeInt = NO_GPU
    num_retries: NonNegativeInt = 2  # after half a minute, then twice as long each time
    timeout_s: PositiveInt = 3600


WITH_ENCODER = StepSettings(cpu_request="2", cpu_limit="8", memory_request="4Gi", memory_limit="16Gi", timeout_s=86_400)
STEP_DEFAULTS: dict[Step, StepSettings] = {
    "identify_inputs": StepSettings(cpu_request="100m", memory_request="256Mi", memory_limit="1Gi"),
    "train_towers": WITH_ENCODER,
    "embed_shard": WITH_ENCODER,
    "train_by_job": StepSettings(timeout_s=86_400),  # it copies and waits
    "start_training": StepSettings(cpu_request="100m", memory_request="256Mi", memory_limit="1Gi"),
    "deploy_bundle": StepSettings(num_retries=0),  # the service is the same, and so is the answer
}


class Toleration(Config):
    key: str
    operator: Literal["Equal", "Exists"] = "Exists"
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class TrainRun(Config):
    """The API of Kubeflow Pipelines that starts a run of a listed pipeline."""

    host: str = Field(pattern="^https?://")  # as pods reach it, such as http://ml-pipeline.kubeflow.svc:8888
    namespace: str | None = None  # of a Kubeflow profile; its PodDefault `access-ml-pipeline` gives the step a token
    experiment: str = "redrec"
    pipeline: str = "redrec-train"  # as `redrec register` lists it


class ClusterSettings(Config):
    """Of all steps, but `steps`, which is of some by name."""

    steps: dict[Step, StepSettings] = Field(default_factory=dict)  # what a step leaves out has its default
    num_embedding_shards: PositiveInt = 1  # pods that embed the items of a refresh at the same time
    gpu_resource: str = "nvidia.com/gpu"
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    claims: dict[str, str] = Field(default_factory=dict)  # name of a PersistentVolumeClaim -> where it is mounted
    secrets: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # name of a Secret -> keys, which name variables
    image_pull_secrets: tuple[str, ...] = ()
    user_id: NonNegativeInt | None = None  # absent: that of the image, or of the namespace on OpenShift
    train_job: TrainNodes | None = None  # absent: training is in the step's own pod
    train_run: TrainRun | None = None  # of drift; absent: the monitor pipeline's own run trains
    notify_url: str | None = Field(default=None, pattern="^https?://")  # gets the end of each run as JSON

    @model_validator(mode="after")
    def _has_one_training_step(self) -> "ClusterSettings":
        if self.train_job is not None and "train_towers" in self.steps:
            raise ValueError(
                "steps.train_towers is of training in the step's pod, and train_job is given: "
                "set its cpu, memory and num_gpus, and steps.train_by_job for the pod that follows it"
            )
        return self

    def of(self, step: Step) -> StepSettings:
        given = self.steps.get(step, StepSettings()).model_dump(exclude_unset=True)
        return STEP_DEFAULTS.get(step, StepSettings()).model_copy(update=given)


WITHOUT_RETRIES = ClusterSettings(steps={step: StepSettings(num_retries=0) for step in TITLES})


def configure(settings: ClusterSettings, **tasks: dsl.PipelineTask) -> None:
    """Apply the settings to tasks, which are given by the name of their step."""
    for name, task in tasks.items():
        step: Step = name  # type: ignore[assignment]  # a wrong one has no title
        task.set_display_name(TITLES[step])
        for variable, value in TELEMETRY_OFF.items():
            task.set_env_variable(variable, value)
        task.set_caching_options(step not in NEVER_CACHED)
        _limit(task, settings.of(step), settings.gpu_resource)
        _schedule(task, settings)
        if step == "start_training":
            kubernetes.add_pod_label(task, TOKEN_LABEL, "true")
        if step == "materialize_features":  # without the Secret the online store is a file of the run
            kubernetes.use_secret_as_env(task, SECRET, {key: key for key in VARIABLES}, optional=True)
        if step == "build_bundle":  # the login of the Milvus server, if it has one
            login = {variable: variable for variable in server.VARIABLES.values()}
            kubernetes.use_secret_as_env(task, server.SECRET, login, optional=True)


def _limit(task: dsl.PipelineTask, step: StepSettings, gpu_resource: str) -> None:
    task.set_cpu_request(step.cpu_request).set_cpu_limit(step.cpu_limit)
    task.set_memory_request(step.memory_request).set_memory_limit(step.memory_limit)
    if step.num_gpus != NO_GPU:
        task.set_accelerator_type(gpu_resource).set_accelerator_limit(step.num_gpus)
    if step.num_retries:
        task.set_retry(step.num_retries, BACKOFF, BACKOFF_FACTOR, MAX_BACKOFF)
    kubernetes.set_timeout(task, step.timeout_s)


def _schedule(task: dsl.PipelineTask, settings: ClusterSettings) -> None:
    kubernetes.set_security_context(task, run_as_user=settings.user_id, run_as_non_root=True)
    for label, value in settings.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in settings.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump())
    for claim, path in settings.claims.items():
        kubernetes.mount_pvc(task, claim, path)
    for secret, keys in settings.secrets.items():
        kubernetes.use_secret_as_env(task, secret, {key: key for key in keys})
    if settings.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(settings.image_pull_secrets))


@contextmanager
def end_reported(settings: ClusterSettings) -> Iterator[None]:
    """Report the end of the tasks inside to `notify_url`, also after a failure."""
    if settings.notify_url is None:
        yield
        return
    reported = report_end(url=settings.notify_url)
    configure(settings, report_end=reported)
    with dsl.ExitHandler(reported, name="run"):
        yield
