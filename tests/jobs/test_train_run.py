"""A step that trains by a TrainJob: what it changes and removes, what it says, and how it fails."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import train_run
from jobs.train_cluster import TrainCluster, TrainJobError
from jobs.train_run import StepJob, run
from redrec.config import InputError
from redrec.folders import ModelFolder, read_json, write_json
from tests.bundles import write_data, write_tiny_model
from tests.jobs.test_train_job import pod, read_back
from tests.jobs.trainer_api import UNKNOWN_FIELD, Namespace, Stage, crashed, ended, node_pod, trainer_api

URI = "minio://mlpipeline/v2/artifacts/redrec-train/run-1/train-by-job/9f/model"
FIRST = "redrec-train-x-node-0-0-abc"
LINES = ["step 50 | loss 2.1", "step 50 | loss 2.1", "step 100 | loss 1.9"]
LOG = [f"2026-11-28T10:00:0{second}.000000000Z {line}" for second, line in enumerate(LINES)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("train_run"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_run, "POLL_S", 0)


def trains(volume: Path) -> Callable[[dict[str, Any]], None]:
    """Return what the nodes do: they write a model of the data folder that the job names."""

    def act(job: dict[str, Any]) -> None:
        model = ModelFolder(write_tiny_model(volume / job["metadata"]["name"], num_scenarios=3))
        write_json(model.manifest, read_json(model.manifest) | {"figures": {"loss": 1.9}})

    return act


def success(volume: Path) -> list[Stage]:
    """The controller has not started, the node loads its image, it trains, and the job is complete."""
    return [
        Stage(),
        Stage(pods=[node_pod(FIRST, phase="Pending")]),
        Stage(pods=[node_pod(FIRST)], logs={FIRST: "\n".join(LOG[:1])}),
        Stage(pods=[node_pod(FIRST)], logs={FIRST: "\n".join(LOG[:2])}),
        Stage([ended("Complete")], [node_pod(FIRST)], {FIRST: "\n".join(LOG)}, act=trains(volume)),
    ]


def step(namespace: Namespace, data: Path, folder: Path, uri: str = URI, **nodes: Any) -> dict[str, float]:
    (folder / "volume").mkdir(exist_ok=True)
    given = {"claim": "shared", "num_nodes": 2, **nodes}
    job = {"image": "redrec:1", "nodes": given, "pods": {}, "volume": str(folder / "volume"), "timeout_s": 600}
    with trainer_api(namespace) as api:
        cluster = TrainCluster(api, "team-a")
        return run(cluster, data, folder / "model", uri, '{"seed": 7}', StepJob.model_validate(job))


def test_a_model_is_fetched_and_what_was_made_is_removed(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "jobs")
    namespace = Namespace(success(tmp_path / "volume"))
    assert step(namespace, data, tmp_path) == {"loss": 1.9}
    assert ModelFolder(tmp_path / "model").tower.is_file()
    assert namespace.changes == ["POST /serviceaccounts", "POST trainjob", "DELETE trainjob"]
    assert list((tmp_path / "volume").iterdir()) == []
    started, *said = caplog.messages
    assert "trains in the folder of its name on claim shared" in started
    waited = ["no pod yet: Kubeflow Trainer has not started the job", "0 of 2 pods run"]
    assert said == [*waited, LINES[0], "1 of 2 pods run", *LINES[1:]]


def test_the_job_is_one_that_kubeflow_knows_with_the_settings_of_the_run(data: Path, tmp_path: Path):
    jobs = []
    failed = Stage([ended("Failed")], act=jobs.append)
    with pytest.raises(TrainJobError):
        step(Namespace([failed]), data, tmp_path, num_gpus=1)
    job = jobs[0]
    assert read_back(job) == job
    assert job["spec"]["activeDeadlineSeconds"] == 600
    assert json.loads(pod(job)["metadata"]["annotations"]["redrec/recipe"]) == {"seed": 7}
    assert pod(job)["spec"]["securityContext"]["runAsUser"] == os.getuid()  # the folder is this user's
    folder = f"/mnt/volume/{job['metadata']['name']}"
    assert {f"{folder}/data", f"{folder}/model"} <= set(job["spec"]["trainer"]["args"])


def test_another_run_has_another_job_and_a_retry_has_the_same(data: Path, tmp_path: Path):
    for uri in (URI, URI, URI.replace("run-1", "run-2")):
        with pytest.raises(TrainJobError):
            step(Namespace([Stage([ended("Failed")])]), data, tmp_path, uri)
    assert len(list((tmp_path / "volume").iterdir())) == 2


def test_a_failed_job_ends_the_step_with_the_words_of_the_pod_that_crashed_first(data: Path, tmp_path: Path):
    """The pods of a Job that has failed may be gone when it says so."""
    second = "redrec-train-x-node-0-1-def"
    pods = [
        node_pod(FIRST, **crashed(finished_at="2026-11-28T10:00:05Z")),
        node_pod(second, index=1, **crashed(137, "2026-11-28T10:00:01Z", "OOMKilled")),
    ]
    logs = {FIRST: f"{LOG[0]}\nZ Connection closed by peer", second: "Z reading the items"}
    stages = [Stage(pods=pods, logs=logs), Stage([ended("Failed", "JobFailed", "back-off limit reached.")])]
    namespace = Namespace(stages)
    with pytest.raises(TrainJobError) as error:
        step(namespace, data, tmp_path)
    assert "JobFailed: back-off limit reached. Pod redrec-train-x-node-0-1-def ended with exit code 137" in str(
        error.value
    )
    assert "(OOMKilled): reading the items. A retry of the step resumes" in str(error.value)
    assert "kubectl delete trainjob redrec-train-" in str(error.value)
    assert namespace.job is not None  # for who looks at it
    assert len(list((tmp_path / "volume").glob("*/data/split.json"))) == 1


def test_a_retry_starts_a_failed_job_again_in_its_folder(data: Path, tmp_path: Path):
    namespace = Namespace([Stage([ended("Failed")])])
    with pytest.raises(TrainJobError):
        step(namespace, data, tmp_path)
    (folder,) = (tmp_path / "volume").iterdir()
    (folder / "checkpoint").touch()
    seen = []
    namespace.changes.clear()
    namespace.after_deletion = success(tmp_path / "volume")
    namespace.after_deletion[0].act = lambda job: seen.append((folder / "checkpoint").exists())
    assert step(namespace, data, tmp_path) == {"loss": 1.9}
    assert namespace.changes[1:] == ["DELETE trainjob", "POST trainjob", "DELETE trainjob"]
    assert seen == [True]


def test_a_retry_follows_the_job_that_still_runs(data: Path, tmp_path: Path):
    failed = Namespace([Stage([ended("Failed")])])
    with pytest.raises(TrainJobError):
        step(failed, data, tmp_path)
    namespace = Namespace(success(tmp_path / "volume"), job=failed.job)
    assert step(namespace, data, tmp_path) == {"loss": 1.9}
    assert namespace.changes == ["POST /serviceaccounts", "DELETE trainjob"]


def test_a_job_whose_pods_cannot_start_is_deleted(data: Path, tmp_path: Path):
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    one = {"name": "node", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    namespace = Namespace([Stage(pods=[node_pod(FIRST, phase="Pending", containerStatuses=[one])])])
    with pytest.raises(TrainJobError, match=f"pod {FIRST}: ImagePullBackOff: no such image. Correct the image's name"):
        step(namespace, data, tmp_path)
    assert namespace.job is None


@pytest.mark.parametrize(
    ("cluster", "nodes", "message"),
    [
        (
            {"denied": {("create", "trainjobs"), ("get", "pods/log")}},
            {},
            "may not: create trainjobs, get pods/log. Give",
        ),
        ({"claims": {}}, {}, "Namespace team-a has no PersistentVolumeClaim shared. Create it"),
        ({"claims": {"shared": ["ReadWriteOnce"]}}, {}, "is ReadWriteOnce, and the step and 2 nodes .* ReadWriteMany"),
        ({"claims": {"shared": ["ReadWriteOncePod"]}}, {"num_nodes": 1}, "is ReadWriteOncePod"),
        ({"quota": {"limits.memory": "24Gi"}}, {}, "Quota all allows 24Gi limits.memory, and 2 nodes need 32Gi"),
        ({"quota": {"requests.nvidia.com/gpu": "1"}}, {"num_gpus": 1}, "Quota all allows 1 .*gpu, and 2 nodes need 2"),
        ({"refuses": (404, "404 page not found")}, {}, "no TrainJob .*Install Kubeflow Trainer 2.2 or newer: kubectl"),
        ({"refuses": (400, UNKNOWN_FIELD)}, {}, "Trainer is older than 2.2: its TrainJob has no runtimePatches"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_changed(
    cluster: dict[str, Any], nodes: dict[str, Any], message: str, data: Path, tmp_path: Path
):
    namespace = Namespace([Stage([ended("Failed")])], **cluster)
    with pytest.raises(InputError, match=message):
        step(namespace, data, tmp_path, **nodes)
    assert namespace.changes == []
    assert list((tmp_path / "volume").iterdir()) == []


def test_a_claim_that_one_node_may_mount_is_enough_for_one_node(data: Path, tmp_path: Path):
    namespace = Namespace(success(tmp_path / "volume"), claims={"shared": ["ReadWriteOnce"]})
    assert step(namespace, data, tmp_path, num_nodes=1)


def test_a_claim_that_cannot_be_written_is_named(data: Path, tmp_path: Path):
    (tmp_path / "volume").touch()
    with pytest.raises(InputError, match="Claim shared cannot be written: .* let user"):
        train_run.share(data, tmp_path / "volume" / "run" / "data", "shared")
