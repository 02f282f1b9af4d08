"""Training run: what a pipeline step does to train on the nodes of a TrainJob instead of in its own pod.

The step copies the data to the claim that all nodes mount, creates the job, follows it to its end, and copies the model
from the claim. The job's name follows from the step's output, which a retry shares: so a retry finds its own job, or
starts it again in the same folder, where training resumes from the last checkpoint.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import PositiveInt

from jobs.train_cluster import TrainCluster, TrainJobError
from jobs.train_job import PodSettings, TrainJobConfig, TrainNodes, train_job
from jobs.train_progress import TrainState, failure, first_crash, last_words, new_lines, progress
from redrec.atomic import replaced_folder
from redrec.config import InputError, Record, validated
from redrec.model.manifest import read_model
from serving.kubernetes_api import own_namespace, plain_refusals

logger = logging.getLogger(__name__)

NAME_DIGITS = 10
POLL_S = 10.0


class StepJob(Record):
    """What a compiled pipeline says of the job; data, recipe and name are of the run."""

    image: str  # of the components
    nodes: TrainNodes
    pods: PodSettings
    volume: Path  # where the claim is mounted in the step
    timeout_s: PositiveInt


def train_by_job(data: Path, model: Path, uri: str, recipe: str, job: str) -> dict[str, float]:
    """Train on the nodes of a TrainJob, write the model folder, and return the final figures.

    Args:
        data: Data folder.
        model: Model folder to write.
        uri: URI of the model folder, which no other run has.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
        job: Fields of `StepJob` as JSON.

    Raises:
        InputError: Trainer, the claim or a right is missing, or a quota is too small; nothing was changed.
        TrainJobError: The job failed, or its pods cannot start.
    """
    from kubernetes import client, config

    config.load_config()  # the pod's service account
    namespace = own_namespace()
    with plain_refusals("The cluster's own policies refuse it; ask who set them."):  # rights are checked before
        cluster = TrainCluster(client.ApiClient(), namespace)
        return run(cluster, data, model, uri, recipe, validated(StepJob, json.loads(job), "job"))


def run(cluster: TrainCluster, data: Path, model: Path, uri: str, recipe: str, job: StepJob) -> dict[str, float]:
    name = f"redrec-train-{hashlib.sha256(uri.encode()).hexdigest()[:NAME_DIGITS]}"
    config = TrainJobConfig(**job.nodes.model_dump(), name=name, data=f"{name}/data", out=f"{name}/model")
    pods = job.pods.model_copy(update={"user_id": os.getuid()})  # the nodes write to this user's folder
    account, manifest = train_job(config, job.image, recipe or "{}", pods, job.timeout_s)
    cluster.check(manifest, job.nodes, job.pods.gpu_resource)
    folder = job.volume / name
    share(data, job.volume / config.data, job.nodes.claim)
    cluster.start(account, manifest)
    logger.info("TrainJob %s trains in the folder of its name on claim %s", name, job.nodes.claim)
    try:
        follow(cluster, name, logger.info)
    except TrainJobError as error:
        cluster.stop(name)
        raise TrainJobError(
            f"TrainJob {name}: {error} A retry of the step resumes from its last checkpoint. To give it up: kubectl "
            f"delete trainjob {name} -n {cluster.namespace}, and remove the folder {name} of claim {job.nodes.claim}."
        ) from error
    figures = read_model(job.volume / config.out).figures
    shutil.copytree(job.volume / config.out, model, dirs_exist_ok=True)
    cluster.delete(name)
    shutil.rmtree(folder)
    return figures


def share(data: Path, out: Path, claim: str) -> None:
    """Copy the data folder to the claim, unless an earlier try of the step has.

    Raises:
        InputError: The claim cannot be written, or is full.
    """
    if out.exists():
        return
    try:
        with replaced_folder(out) as new:
            shutil.copytree(data, new, dirs_exist_ok=True)
    except OSError as error:
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error  # of the first of several files
        raise InputError(
            f"Claim {claim} cannot be written: {reason}. It must have room for data and model, and let user "
            f"{os.getuid()} write."
        ) from error


def follow(cluster: TrainCluster, name: str, say: Callable[[str], None]) -> None:
    """Say what the job waits for and what its first node logs, until it is complete.

    Raises:
        TrainJobError: It failed, or its pods cannot start; the message has the last words of the pod that crashed.
    """
    started, said, last_line, words = time.monotonic(), "", "", ""
    while True:
        state = cluster.state(name)
        for line in new_lines(cluster.log(state.first_node) if state.first_node else [], last_line):
            say(line.partition(" ")[2])
            last_line = line
        if state.is_complete:
            return
        words = crash(cluster, state) or words  # a pod that has failed is soon gone
        failed = failure(state, time.monotonic() - started)
        if failed:
            raise TrainJobError(f"{failed.rstrip('.')}. {words}".rstrip())
        if progress(state) != said:
            said = progress(state)
            say(said)
        time.sleep(POLL_S)


def crash(cluster: TrainCluster, state: TrainState) -> str:
    """Return the exit code and the last words of the pod that crashed first, or "" if none has."""
    ended = first_crash(state)
    if ended is None:
        return ""
    log = [line.partition(" ")[2] for line in cluster.log(ended.pod)]
    return f"Pod {ended.pod} ended with exit code {ended.exit_code} ({ended.reason}): {last_words(log)}."
