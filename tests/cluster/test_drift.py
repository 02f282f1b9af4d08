"""Drift on a cluster without Kubeflow Pipelines: the chart's CronJob trains where drift lasts, and nowhere else.

It runs `redrec monitor`, and with it the pipeline function that is compiled for Kubeflow Pipelines.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from redrec.bundle.reader import Bundle
from redrec.drift.history import read_history
from redrec.drift.verdicts import Drift
from redrec.folders import DriftFolder, MonitorFolder, RunFolder
from tests.cluster.conftest import Cluster
from tests.cluster.tools import ROOT, helm, run
from tests.pipelines.test_monitor import RECIPE, write_earlier_window, write_tables

pytestmark = pytest.mark.cluster

NAMESPACE, RELEASE = "watch", "redrec"
JOB_S = 420
AWAY = "http://127.0.0.1:9/api/v2/alerts"  # nothing listens


class Watch(NamedTuple):
    """The installed CronJob, and its claim as a folder of this machine."""

    admin: Cluster
    claim: Path

    def kubectl(self, *words: str) -> str:
        return self.admin.kubectl("--namespace", NAMESPACE, *words)

    def suspend(self) -> None:
        self.kubectl("patch", "cronjob", f"{RELEASE}-drift", "--patch", '{"spec": {"suspend": true}}')

    def wait_for(self, job: str) -> None:
        try:
            self.kubectl("wait", "--for=condition=Complete", job, f"--timeout={JOB_S}s")
        except AssertionError as error:
            name = job.rpartition("/")[2]
            pods = self.kubectl("get", "pods", "-l", f"job-name={name}", "-o", "jsonpath={.items[*].status}")[-4000:]
            raise AssertionError(f"{error}\n{pods}\n{self.kubectl('logs', job, '--tail=60')}") from error

    def write(self, drifting: str | None) -> None:
        shutil.rmtree(self.claim / "tables", ignore_errors=True)
        write_tables(self.claim / "tables", drifting)
        write_earlier_window(self.claim / "history.jsonl")
        for path in (self.claim, self.claim / "history.jsonl"):
            path.chmod(0o777)  # a node of a real cluster gives the volume to the pod's fsGroup

    @property
    def report(self) -> DriftFolder:
        return DriftFolder(MonitorFolder(self.claim / "report").drift)


@pytest.fixture(scope="module")
def watch(cluster: Cluster, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    values = tmp_path_factory.mktemp("values") / "values.json"
    values.write_text(json.dumps(chart_values(images)))
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    try:
        chart = ROOT / "helm" / "redrec"
        run(helm(), "install", RELEASE, chart, "--values", values, "--namespace", NAMESPACE, env=cluster.env)
        cluster.kubectl("wait", *f"--for=jsonpath={{.status.phase}}=Bound pvc --all -n {NAMESPACE}".split())
        volume = cluster.kubectl(*f"get pvc {RELEASE}-drift -n {NAMESPACE} -o jsonpath={{.spec.volumeName}}".split())
        installed = Watch(cluster, Path(cluster.kubectl("get", "pv", volume, "-o", "jsonpath={.spec.hostPath.path}")))
        (installed.claim / "recipe.json").write_text(RECIPE.model_dump_json())
        installed.write("ads")
        yield installed
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def chart_values(images: dict[str, str]) -> dict[str, Any]:
    repository, tag = images["pipeline"].rsplit(":", 1)
    drift = {
        "enabled": True,
        "schedule": "* * * * *",
        "events": "/mnt/drift/tables/events.parquet",
        "items": "/mnt/drift/tables/items.parquet",
        "recipe": "/mnt/drift/recipe.json",
        "retrain": True,
        "webhook": AWAY,
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "6Gi"}},
    }
    return {
        "serving": {"enabled": False},
        "pipelines": {"image": {"repository": repository, "tag": tag}},
        "drift": drift,
    }


def test_the_schedule_starts_a_job_that_trains_on_the_second_window_with_drift(watch: Watch) -> None:
    began = time.monotonic()
    jobs = ""
    while not jobs:
        assert time.monotonic() - began < 120, watch.kubectl("describe", "cronjob")
        time.sleep(1)
        jobs = watch.kubectl("get", "jobs", "-o", "name")
    watch.suspend()
    watch.wait_for(jobs.split()[0])
    history = read_history(str(watch.claim / "history.jsonl"))
    assert [one.reason for one in history.trainings] == [
        "retrain: ads category drifted in 2 of 3 windows, to 2026-02-08"
    ]
    assert set(Bundle.load(RunFolder(watch.claim / "run").bundle).manifest.scenarios) == {"homefeed", "search", "ads"}
    assert f"{AWAY} did not take it" in watch.report.markdown.read_text()


def test_a_window_like_the_others_trains_nothing(watch: Watch) -> None:
    before = (watch.claim / "run").stat().st_mtime_ns
    watch.write(None)
    watch.kubectl("create", "job", "calm", f"--from=cronjob/{RELEASE}-drift")
    watch.wait_for("job/calm")
    drift = Drift.model_validate_json(watch.report.verdicts.read_bytes())
    assert set(drift.verdicts.values()) == {"stable"}
    assert (watch.claim / "run").stat().st_mtime_ns == before


def test_an_uninstalled_chart_leaves_the_history(watch: Watch) -> None:
    run(helm(), "uninstall", RELEASE, "--namespace", NAMESPACE, env=watch.admin.env)
    left = watch.kubectl("get", "pvc,cronjob,serviceaccount", "-o", "name").split()
    assert {name for name in left if RELEASE in name} == {f"persistentvolumeclaim/{RELEASE}-drift"}
