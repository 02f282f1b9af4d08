"""A TrainJob of a step against a real API with Trainer's own definitions; a thread plays Trainer's controller.

The account has the rights that `jobs.train_cluster` lists and no other.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import config

from cli.doctor_checks import reader, trainer_check
from jobs.train_cluster import RIGHTS, TrainCluster
from jobs.train_job import PodSettings, TrainJobConfig, TrainNodes, train_job
from jobs.train_run import StepJob, run
from redrec.config import InputError
from redrec.folders import ModelFolder
from tests.bundles import write_data, write_tiny_model
from tests.cluster.conftest import Cluster
from tests.cluster.tools import CRDS

pytestmark = pytest.mark.cluster

NAMESPACE, RUNNER, CLAIM = "training", "pipeline-runner", "shared"
LAG_S = 60  # until the API has read a new definition, and an account its rights
COMPLETE = {"type": "Complete", "status": "True", "reason": "JobsCompleted", "message": "done"}


def objects() -> list[dict]:
    """Return the account of a run with exactly its rights, and the claim."""
    rules = [{"verbs": [verb], "apiGroups": [group], "resources": [resource]} for verb, group, resource in RIGHTS]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": RUNNER}
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    rbac = "rbac.authorization.k8s.io/v1"
    named = [
        {"apiVersion": "v1", "kind": "ServiceAccount"},
        {"apiVersion": rbac, "kind": "Role", "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "roleRef": reference,
            "subjects": [{"kind": "ServiceAccount", "name": RUNNER}],
        },
    ]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM}, "spec": spec}
    return [*({**one, "metadata": {"name": RUNNER}} for one in named), claim]


@pytest.fixture(scope="module")
def runner(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainCluster]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    try:
        cluster.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=yaml.safe_dump_all(objects()))
        token = cluster.kubectl("create", "token", RUNNER, "--namespace", NAMESPACE).strip()
        settings = yaml.safe_load(Path(cluster.env["KUBECONFIG"]).read_text())
        settings["users"] = [{**user, "user": {"token": token}} for user in settings["users"]]
        file = tmp_path_factory.mktemp("runner") / "kubeconfig"
        file.write_text(yaml.safe_dump(settings))
        yield TrainCluster(config.new_client_from_config(str(file)), NAMESPACE)
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
        cluster.kubectl("delete", "crd", "trainjobs.trainer.kubeflow.org", "--ignore-not-found")


def define(cluster: Cluster, version: str) -> None:
    definition = CRDS / f"trainer-{version}" / "trainer.kubeflow.org_trainjobs.yaml"
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", definition)


def becomes(is_true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LAG_S
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.5)
    return is_true()


def play_controller(cluster: Cluster, volume: Path) -> None:
    """Train as the only job says, and report it as complete."""
    assert becomes(lambda: jobs_in(cluster) != [])
    (name,) = jobs_in(cluster)
    write_tiny_model(volume / name, num_scenarios=3)
    now = {"lastTransitionTime": "2026-11-28T10:00:00Z"}
    patch = json.dumps({"status": {"conditions": [COMPLETE | now]}})
    words = ("--subresource=status", "--type=merge", "-p", patch)
    cluster.kubectl("patch", "trainjob", name, "-n", NAMESPACE, *words)


def jobs_in(cluster: Cluster) -> list[str]:
    return cluster.kubectl("get", "trainjobs", "-n", NAMESPACE, "-o", "jsonpath={.items[*].metadata.name}").split()


def train(runner: TrainCluster, folder: Path) -> dict[str, float]:
    (folder / "volume").mkdir(exist_ok=True)
    nodes = TrainNodes(claim=CLAIM, num_nodes=2, num_processes=2, num_gpus=2)
    pods = PodSettings(tolerations=({"key": "gpu", "operator": "Exists"},), node_selector={"pool": "gpu"})
    job = StepJob(image="redrec:1", nodes=nodes, pods=pods, volume=folder / "volume", timeout_s=600)
    return run(runner, folder / "data", folder / "model", f"s3://runs/{folder.name}/model", "{}", job)


def test_without_trainer_or_with_an_old_one_nothing_is_changed(cluster: Cluster, runner: TrainCluster, tmp_path: Path):
    write_data(tmp_path)
    assert becomes(lambda: all(runner.may(*right) for right in RIGHTS))
    with pytest.raises(InputError, match="no TrainJob"):
        train(runner, tmp_path)
    define(cluster, "2.1.0")
    assert becomes(lambda: "runtimePatches" in check_of(runner))
    with pytest.raises(InputError, match="older than 2.2"):
        train(runner, tmp_path)
    assert list((tmp_path / "volume").iterdir()) == []
    accounts = cluster.kubectl("get", "serviceaccounts", "-n", NAMESPACE, "-o", "name")
    assert "redrec-training" not in accounts


def check_of(runner: TrainCluster) -> str:
    return trainer_check(reader(runner.core.api_client)).said


def test_a_step_trains_by_a_job_and_leaves_only_its_account(cluster: Cluster, runner: TrainCluster, tmp_path: Path):
    define(cluster, "2.2.1")
    assert becomes(lambda: check_of(runner) == "v1alpha1")
    write_data(tmp_path)
    controller = threading.Thread(target=play_controller, args=(cluster, tmp_path / "volume"))
    controller.start()
    try:
        train(runner, tmp_path)
    finally:
        controller.join()
    assert ModelFolder(tmp_path / "model").tower.is_file()
    assert list((tmp_path / "volume").iterdir()) == []
    assert jobs_in(cluster) == []


def test_a_retry_may_find_its_job(cluster: Cluster, runner: TrainCluster):
    define(cluster, "2.2.1")
    assert becomes(lambda: check_of(runner) == "v1alpha1")
    config = TrainJobConfig(claim=CLAIM, name="again")
    account, manifest = train_job(config, "redrec:1")
    for _ in range(2):
        runner.check(manifest, config, "nvidia.com/gpu")
        runner.start(account, manifest)
    assert jobs_in(cluster) == ["again"]
    runner.delete("again")
