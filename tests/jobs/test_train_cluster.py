"""What the API says of a job: why it has no pods, and a job that is gone or does not go."""

import pytest

from jobs import train_cluster
from jobs.train_cluster import TrainCluster, TrainJobError, check_quota
from jobs.train_job import TrainNodes
from redrec.config import InputError
from tests.jobs.trainer_api import Namespace, Stage, node_pod, trainer_api

NAME = "redrec-train-1"
NODES = TrainNodes(claim="shared", num_nodes=3, cpu=8, num_gpus=1)


def test_the_events_of_the_jobs_say_why_there_is_no_pod():
    without, with_pod = Stage(events=["exceeded quota"]), Stage(events=["old"], pods=[node_pod("n-0")])
    namespace = Namespace([without, without, with_pod], job={})
    with trainer_api(namespace) as api:
        cluster = TrainCluster(api, "team-a")
        assert cluster.state(NAME).refusals == ["exceeded quota"]
        assert cluster.state("redrec-train-2").refusals == []
        assert cluster.state(NAME).refusals == []


def test_a_job_that_was_deleted_is_not_waited_for():
    with trainer_api(Namespace([Stage()])) as api, pytest.raises(TrainJobError, match="was deleted"):
        TrainCluster(api, "team-a").state(NAME)


def test_a_job_that_does_not_go_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(train_cluster, "DELETE_S", -1)
    with trainer_api(Namespace([Stage()], job={})) as api:
        cluster = TrainCluster(api, "team-a")
        monkeypatch.setattr(cluster, "job", lambda name: {"status": {}})
        with pytest.raises(TrainJobError, match=f"not gone.*kubectl describe trainjob {NAME} -n team-a"):
            cluster.delete(NAME)


@pytest.mark.parametrize(
    ("hard", "needed"),
    [
        ({"pods": "2"}, "3"),
        ({"cpu": "23500m"}, "24"),
        ({"requests.memory": "40Gi"}, "48Gi"),
        ({"amd.com/gpu": "2"}, "3"),
    ],
)
def test_a_quota_that_is_too_small_is_refused(hard: dict[str, str], needed: str):
    with pytest.raises(InputError, match=f"3 nodes need {needed}. Raise it"):
        check_quota("all", hard, NODES, "amd.com/gpu")


def test_a_quota_that_is_large_enough_or_of_something_else_is_not():
    hard = {"pods": "3", "limits.cpu": "24", "memory": "48Gi", "services": "0", "requests.nvidia.com/gpu": "0"}
    check_quota("all", hard, NODES, "amd.com/gpu")
