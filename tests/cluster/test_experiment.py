"""An experiment on a cluster: two bundles in one service, decided by the gate's Job, and served within seconds.

The tests run in this order on one installed release. The first eight days of the experiment are written to the claim:
in ads the treatment is better, and homefeed is level. Later, harm in homefeed is written, too.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from redrec.experiments.allocation import Allocation
from redrec.experiments.assignment import arm_of
from redrec.experiments.ledger import read_ledger
from redrec.experiments.plan import Plan
from redrec.folders import DecisionFolder, RunFolder
from serving.config_map import KEY
from serving.exposures import Exposure, csv_text
from tests.cluster.conftest import TAG, Cluster, logs
from tests.cluster.tools import ROOT, helm, run
from tests.serving.clients import Clients
from tests.serving.experiments import Server, TwoBundles, two_bundles

pytestmark = pytest.mark.cluster

NAMESPACE, RELEASE, EXPERIMENT = "trial", "redrec", "towers-2"
CHART = ROOT / "helm" / "redrec"
LABEL = f"serving.kserve.io/inferenceservice={RELEASE}"
GATE = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-gate"
USERS = [f"u{number}" for number in range(480)]
DAYS = 8  # a promotion may be decided after day 7
JOB_S = 120
CHANGE_S = 5.0


class Trial(NamedTuple):
    """An installed experiment, and its claim as a folder of this machine."""

    admin: Cluster
    plan: Plan
    values: Path
    claim: Path

    def helm(self, verb: str, *words: str) -> str:
        return run(helm(), verb, *words, "--namespace", NAMESPACE, env=self.admin.env)

    def upgrade(self, **plan: Any) -> str:
        changes = [f"--set-json=experiment.plan.{name}={json.dumps(value)}" for name, value in plan.items()]
        return self.helm("upgrade", RELEASE, str(CHART), "--values", str(self.values), *changes)

    def kubectl(self, *words: str) -> str:
        return self.admin.kubectl("--namespace", NAMESPACE, *words)

    def may(self, verb: str, what: str) -> bool:
        words = ["kubectl", "auth", "can-i", verb, what, f"--as={GATE}", "--namespace", NAMESPACE]
        return subprocess.run(words, env=self.admin.env, capture_output=True).returncode == 0

    @property
    def server(self) -> Server:
        address = self.kubectl("get", "svc", f"{RELEASE}-predictor", "-o", "jsonpath={.spec.clusterIP}")
        return Server(f"http://{address}", None, Path(), self.claim / "exposures")

    def assigned(self, scenario: str) -> list[str]:
        return [str(arm_of(self.plan, scenario, user).name) for user in USERS]

    def state(self) -> tuple[Allocation, str]:
        """Return the allocation, and the version of its ConfigMap."""
        config_map = json.loads(self.kubectl("get", "configmap", f"{RELEASE}-allocation", "-o", "json"))
        return Allocation.model_validate_json(config_map["data"][KEY]), config_map["metadata"]["resourceVersion"]

    def start_gate(self, name: str) -> None:
        self.kubectl("create", "job", name, f"--from=cronjob/{RELEASE}-gate")

    def wait_for_gate(self, name: str) -> None:
        try:
            self.kubectl("wait", "--for=condition=Complete", f"job/{name}", f"--timeout={JOB_S}s")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.pods(name)}") from error

    def pods(self, job: str) -> str:
        return self.kubectl("get", "pods", "-l", f"job-name={job}", "-o", "jsonpath={.items[*].status}")[-4000:]

    def decision(self, scenario: str) -> dict[str, Any]:
        status, content = self.server.get(f"v1/experiments/{EXPERIMENT}/scenarios/{scenario}/decision")
        assert status == 200, content
        return dict(content)

    def num_decided(self) -> int:
        return len(read_ledger(self.claim / "ledger.jsonl"))


@pytest.fixture(scope="module")
def trial(cluster: Cluster, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """Install the chart with both bundles on its claim, and wait until it is ready."""
    bundles = two_bundles(tmp_path_factory.mktemp("bundles"))
    values = tmp_path_factory.mktemp("values") / "values.json"
    plan = planned(bundles)
    values.write_text(json.dumps(chart_values(images, plan)))
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "configmap", "other", "--from-literal=key=value", "--namespace", NAMESPACE)
    try:
        run(helm(), "install", RELEASE, CHART, "--values", values, "--namespace", NAMESPACE, env=cluster.env)
        cluster.kubectl("wait", *f"--for=jsonpath={{.status.phase}}=Bound pvc --all -n {NAMESPACE}".split())
        folder = claim_folder(cluster, f"{RELEASE}-bundles") / "demo"
        shutil.copytree(bundles.control.path, RunFolder(folder).bundle)
        shutil.copytree(bundles.features, RunFolder(folder).features)
        shutil.copytree(bundles.treatment.path, RunFolder(folder / "treatment").bundle)
        installed = Trial(cluster, plan, values, claim_folder(cluster, f"{RELEASE}-experiment"))
        (installed.claim / "exposures").mkdir(exist_ok=True)
        for folder in (installed.claim, installed.claim / "exposures"):
            folder.chmod(0o777)  # a node of a real cluster gives the volume to the pod's fsGroup
        wait_until_ready(installed)
        yield installed
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def planned(bundles: TwoBundles) -> Plan:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS, hours=1)
    return bundles.plan(experiment=EXPERIMENT, start=start, guardrails=())


def chart_values(images: dict[str, str], plan: Plan) -> dict[str, Any]:
    repository, tag = images["pipeline"].rsplit(":", 1)
    fields = plan.model_dump(mode="json", include={"experiment", "scenarios", "start", "control", "treatment"})
    return {
        "serving": {"image": {"tag": TAG}},
        "pipelines": {"image": {"repository": repository, "tag": tag}},
        "experiment": {
            "enabled": True,
            "plan": {**fields, "guardrails": []},
            "schedule": "0 0 1 1 *",  # its Jobs are created by hand
        },
    }


def claim_folder(cluster: Cluster, claim: str) -> Path:
    volume = cluster.kubectl(*f"get pvc {claim} -n {NAMESPACE} -o jsonpath={{.spec.volumeName}}".split())
    return Path(cluster.kubectl("get", "pv", volume, "-o", "jsonpath={.spec.hostPath.path}"))


def wait_until_ready(trial: Trial) -> None:
    try:
        trial.kubectl("wait", "--for=condition=Ready", f"isvc/{RELEASE}", "--timeout=240s")
    except AssertionError as error:
        state = trial.kubectl("describe", "isvc,pods")
        raise AssertionError(f"{error}\n{state[-6000:]}\n{logs(trial.admin, LABEL)}") from error


def write_days(trial: Trial) -> None:
    """Write the exposure of every user in both scenarios on one of the days, and 10 impressions and 4 to 9 clicks."""
    exposures, outcomes = [Exposure._fields], []
    for scenario, (number, user) in product(trial.plan.scenarios, enumerate(USERS)):
        arm = str(arm_of(trial.plan, scenario, user).name)
        moment = trial.plan.start + timedelta(hours=number * DAYS * 24 / len(USERS))
        name, time_text = f"{scenario}-{user}", moment.isoformat()
        exposures.append(Exposure(name, EXPERIMENT, user, scenario, arm, time_text, "planted", trial.plan.hash()))
        is_better = scenario == "ads" and arm == "treatment"
        clicks = 4 + number % 3 + 3 * is_better
        for event, value in (("impression", 10), ("click", clicks)):
            outcomes.append(outcome(f"{event}-{name}", user, scenario, event, value, moment))
    (trial.claim / "exposures" / "planted.csv").write_text(csv_text(exposures))
    write_outcomes(trial, "first", outcomes)


def write_harm(trial: Trial) -> None:
    """Write 10 more impressions without a click of each user of the treatment in homefeed."""
    rows = []
    for number, user in enumerate(USERS):
        if arm_of(trial.plan, "homefeed", user).name == "treatment":
            moment = trial.plan.start + timedelta(hours=number * DAYS * 24 / len(USERS))
            rows.append(outcome(f"harm-{user}", user, "homefeed", "impression", 10, moment))
    write_outcomes(trial, "harm", rows)


def outcome(event_id: str, user: str, scenario: str, event: str, value: int, exposed: datetime) -> list[str]:
    return [event_id, user, scenario, event, str(value), (exposed + timedelta(seconds=1)).isoformat()]


def write_outcomes(trial: Trial, name: str, rows: list[list[str]]) -> None:
    folder = trial.claim / "outcomes"
    folder.mkdir(exist_ok=True)
    columns = ["event_id", "user_id", "scenario", "event", "value", "timestamp"]
    (folder / f"{name}.csv").write_text(csv_text([columns, *rows]))


def test_every_user_gets_the_assigned_arm_and_is_exposed_on_the_claim(trial: Trial) -> None:
    server = trial.server
    for scenario in trial.plan.scenarios:
        assert server.arms(scenario, USERS) == trial.assigned(scenario)
    rows = server.exposed(len(USERS) * len(trial.plan.scenarios))
    for scenario in trial.plan.scenarios:
        arms = {row["user_id"]: row["arm"] for row in rows if row["scenario"] == scenario}
        assert arms == dict(zip(USERS, trial.assigned(scenario), strict=True))


def test_the_gates_account_may_change_the_allocation_and_nothing_else(trial: Trial) -> None:
    verbs, things = ("get", "patch", "update", "delete", "create", "list", "watch"), ("configmaps", "secrets", "pods")
    own = {verb for verb in verbs if trial.may(verb, f"configmap/{RELEASE}-allocation")}
    assert own == {"get", "patch"}
    assert not any(trial.may(verb, "configmap/other") for verb in verbs)
    assert not any(trial.may(verb, thing) for verb, thing in product(verbs, things))
    denied = subprocess.run(
        ["kubectl", "get", "configmap", "other", "--namespace", NAMESPACE, f"--as={GATE}"],
        env=trial.admin.env,
        capture_output=True,
        text=True,
    )
    assert "Forbidden" in denied.stderr


def test_the_gate_promotes_ads_and_holds_homefeed_and_the_next_requests_show_it(trial: Trial) -> None:
    write_days(trial)
    server = trial.server
    with Clients(server.arms_of_new_users, num_clients=1) as clients:
        trial.start_gate("first")
        trial.wait_for_gate("first")
        began = time.monotonic()
        while set(server.arms("ads", USERS[:64])) != {"treatment"}:
            assert time.monotonic() - began < CHANGE_S, trial.state()
    assert clients.errors == []
    assert set(server.arms("ads", USERS)) == {"treatment"}
    assert server.arms("homefeed", USERS) == trial.assigned("homefeed")
    allocation, _ = trial.state()
    assert allocation.serves == {"ads": "treatment"}
    assert [trial.decision(scenario)["verdict"] for scenario in ("ads", "homefeed")] == ["promote", "hold"]
    assert trial.num_decided() == 1


def test_a_planted_harm_rolls_back_though_its_job_is_killed_half_way_and_changes_nothing_twice(trial: Trial) -> None:
    """The first pod waits at a pipe in place of a report, with its result in the ledger; the Job's next pod does the rest."""
    _, before = trial.state()
    write_harm(trial)
    report = DecisionFolder(trial.claim / "decisions").markdown
    report.unlink()
    os.mkfifo(report)
    report.chmod(0o666)
    trial.start_gate("harm")
    kill_when_decided(trial, "harm", 2)
    report.unlink()
    assert trial.state()[1] == before
    trial.wait_for_gate("harm")
    assert len(trial.kubectl("get", "pods", "-l", "job-name=harm", "-o", "name").split()) == 2
    allocation, changed = trial.state()
    assert (allocation.serves, trial.num_decided()) == ({"ads": "treatment", "homefeed": "control"}, 2)
    time.sleep(CHANGE_S)
    assert set(trial.server.arms("homefeed", USERS)) == {"control"}
    assert trial.decision("homefeed")["verdict"] == "rollback"
    trial.start_gate("again")
    trial.wait_for_gate("again")
    assert (trial.state()[1], trial.num_decided()) == (changed, 2)


def kill_when_decided(trial: Trial, job: str, num_results: int) -> None:
    began = time.monotonic()
    while trial.num_decided() < num_results:
        assert time.monotonic() - began < JOB_S, trial.pods(job)
        time.sleep(0.1)
    (pod,) = trial.kubectl("get", "pods", "-l", f"job-name={job}", "-o", "jsonpath={.items[*].metadata.name}").split()
    trial.admin.podman("kill", f"{NAMESPACE}-{pod}-gate")


def test_upgrades_keep_the_decisions_and_change_only_the_coverage(trial: Trial) -> None:
    allocation, version = trial.state()
    trial.upgrade()
    assert trial.state() == (allocation, version)
    with pytest.raises(AssertionError, match="Of a running experiment only the coverage may change"):
        trial.upgrade(alpha=0.01)
    trial.upgrade(coverage=0.0)
    off, _ = trial.state()
    assert (off.plan.coverage, off.serves, off.decisions) == (0.0, allocation.serves, allocation.decisions)
    trial.helm("rollback", RELEASE, "1")
    assert trial.state()[0] == off


def test_a_new_experiment_begins_without_a_restart(trial: Trial) -> None:
    pods = trial.kubectl("get", "pods", "-l", LABEL, "-o", "jsonpath={.items[*].metadata.uid}")
    trial.upgrade(experiment="towers-3")
    allocation, _ = trial.state()
    assert (allocation.plan.experiment, allocation.serves) == ("towers-3", {})
    time.sleep(CHANGE_S)
    assert {one["experiment"] for one in trial.server.predict("ads", USERS[:8])} == {"towers-3"}
    assert trial.kubectl("get", "pods", "-l", LABEL, "-o", "jsonpath={.items[*].metadata.uid}") == pods


def test_an_uninstalled_chart_leaves_decisions_and_claims(trial: Trial) -> None:
    trial.helm("uninstall", RELEASE)
    left = trial.kubectl("get", "configmap,pvc,cronjob,role,rolebinding,serviceaccount", "-o", "name").split()
    assert {name for name in left if RELEASE in name} == {
        f"configmap/{RELEASE}-allocation",
        f"persistentvolumeclaim/{RELEASE}-bundles",
        f"persistentvolumeclaim/{RELEASE}-experiment",
    }
