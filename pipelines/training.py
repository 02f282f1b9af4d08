"""Training as a step: in the step's own pod, or by a TrainJob that the step starts and follows."""

from pathlib import Path

from kfp import dsl, kubernetes

from components.images import PIPELINE_IMAGE
from components.train_by_job import train_by_job
from components.train_towers import train_towers
from jobs.pod import VOLUME
from jobs.train_job import PodSettings, TrainNodes
from jobs.train_run import StepJob
from pipelines.settings import ClusterSettings, configure


def training_step(settings: ClusterSettings, data: dsl.Dataset, recipe: str) -> dsl.PipelineTask:
    """Return the configured step, as the settings say; data and recipe are the pipeline's channels."""
    if settings.train_job is None:
        task = train_towers(data=data, recipe=recipe)
        configure(settings, train_towers=task)
        return task
    job = step_job(settings, settings.train_job)
    task = train_by_job(data=data, recipe=recipe, job=job.model_dump_json())
    configure(settings, train_by_job=task)
    if job.nodes.claim not in settings.claims:
        kubernetes.mount_pvc(task, job.nodes.claim, str(job.volume))
    return task


def step_job(settings: ClusterSettings, nodes: TrainNodes) -> StepJob:
    """Return what the step has to know; the job may take as long as the step."""
    return StepJob(
        image=PIPELINE_IMAGE,
        nodes=nodes,
        pods=PodSettings(
            node_selector=settings.node_selector,
            tolerations=tuple(toleration.model_dump(exclude_none=True) for toleration in settings.tolerations),
            image_pull_secrets=settings.image_pull_secrets,
            gpu_resource=settings.gpu_resource,
        ),
        volume=Path(settings.claims.get(nodes.claim, VOLUME)),
        timeout_s=settings.of("train_by_job").timeout_s,
    )
