"""The chart of an experiment: server and gate share allocation and claim, and have the rights that they use."""

import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import parser
from redrec.experiments.allocation import Allocation
from redrec.experiments.decisions import Verdict
from serving.__main__ import parse_arguments
from serving.config_map import GATE_RIGHTS, KEY, SERVER_RIGHTS, MapName
from serving.description import DECISION
from serving.exposure_topic import TopicName, client_settings, new_producer
from serving.start import ExperimentFiles
from tests.cluster.tools import helm, run
from tests.helm.readme import CHART
from tests.helm.test_chart import DEFAULT, notes

SHAPE = CHART / "ci" / "experiment-values.yaml"

Objects = dict[tuple[str, str], dict[str, Any]]  # kind and name -> object


@pytest.fixture(scope="module")
def objects() -> Objects:
    return rendered(SHAPE)


def rendered(shape: Path) -> Objects:
    documents = yaml.safe_load_all(run(helm(), "template", "redrec", CHART, "--values", shape))
    return {(one["kind"], one["metadata"]["name"]): one for one in documents if one}


@pytest.fixture(scope="module")
def allocation(objects: Objects) -> Allocation:
    return Allocation.model_validate_json(objects["ConfigMap", "redrec-allocation"]["data"][KEY])


def server_files(objects: Objects) -> ExperimentFiles:
    words = objects["ServingRuntime", "redrec"]["spec"]["containers"][0]["args"]
    files = ExperimentFiles.of(parse_arguments(words))
    assert files is not None
    return files


def gate_pod(objects: Objects) -> dict[str, Any]:
    pod: dict[str, Any] = objects["CronJob", "redrec-gate"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


def claim(pod: dict[str, Any], container: dict[str, Any]) -> tuple[str, str]:
    """Return the claim of the experiment, and its folder in the container."""
    (volume,) = (one for one in pod["volumes"] if "persistentVolumeClaim" in one)
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == volume["name"])
    return volume["persistentVolumeClaim"]["claimName"], mount["mountPath"]


def test_nothing_of_an_experiment_is_there_by_default():
    rendered = run(helm(), "template", "redrec", CHART, "--values", DEFAULT)
    assert not any(word in rendered for word in ("allocation", "exposures", "CronJob", "fsGroup"))


def test_the_allocation_is_the_plan_of_the_values(allocation: Allocation):
    given = yaml.safe_load(SHAPE.read_text())["experiment"]["plan"]
    plan = allocation.plan
    assert (plan.experiment, plan.days, plan.coverage) == ("towers-2", 14, 0.5)
    assert (plan.start, plan.treatment.bundle) == (given["start"], given["treatment"]["bundle"])
    assert (allocation.serves, allocation.decisions) == ({}, {})


def test_no_upgrade_and_no_rollback_has_the_allocation(objects: Objects):
    """A hook is created apart from the release; tests/cluster upgrades, rolls back and uninstalls one."""
    notes = objects["ConfigMap", "redrec-allocation"]["metadata"]["annotations"]
    assert notes["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_server_and_gate_have_one_allocation_and_one_claim(objects: Objects):
    runtime, pod = objects["ServingRuntime", "redrec"]["spec"], gate_pod(objects)
    (container,) = pod["containers"]
    gate, files = parser().parse_args(container["args"]), server_files(objects)
    assert files.allocation == MapName.read(gate.allocation) == MapName("redrec-allocation")
    assert gate.apply and gate.plan is None  # it is in the allocation
    (name, folder), of_server = claim(pod, container), claim(runtime, runtime["containers"][0])
    assert (name, folder) == ("towers-2", "/mnt/experiment")
    assert of_server == (name, files.exposures.as_posix()) == (name, gate.exposures.as_posix())
    assert {path.parent.as_posix() for path in (gate.exposures, gate.outcomes, gate.ledger, gate.out)} == {folder}
    assert ("PersistentVolumeClaim", "towers-2") in objects


def test_the_server_sees_nothing_of_the_claim_but_its_exposures(objects: Objects):
    (container,) = objects["ServingRuntime", "redrec"]["spec"]["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "experiment")
    assert Path(mount["mountPath"]).name == mount["subPath"] == "exposures"


def test_with_a_topic_the_server_has_no_claim_and_the_gate_reads_what_a_sink_writes_there():
    objects = rendered(SHAPE.with_name("topic-values.yaml"))
    runtime, gate = objects["ServingRuntime", "redrec"]["spec"], gate_pod(objects)
    (container,) = runtime["containers"]
    assert server_files(objects).exposures == TopicName("shop.exposures")
    assert [one["name"] for one in runtime["volumes"]] == [one["name"] for one in container["volumeMounts"]] == ["tmp"]
    assert claim(gate, gate["containers"][0]) == ("redrec-experiment", "/mnt/experiment")
    settings = client_settings({one["name"]: one.get("value", "from the Secret") for one in container["env"]})
    assert new_producer(settings, print) is not None
    assert settings["sasl.password"] == "from the Secret"


def test_the_treatment_is_a_run_folder_in_that_of_the_control(objects: Objects):
    arguments = parse_arguments(objects["ServingRuntime", "redrec"]["spec"]["containers"][0]["args"])
    assert arguments.treatment == arguments.bundle.parent / "treatment" / arguments.bundle.name


@pytest.mark.parametrize(
    ("role", "accounts", "rights"),
    [
        ("redrec-allocation-reader", ["redrec"], SERVER_RIGHTS),
        ("redrec-gate", ["redrec-gate", "default-editor"], GATE_RIGHTS),
    ],
)
def test_server_and_gate_have_the_rights_that_they_use_on_that_config_map_alone(
    objects: Objects, role: str, accounts: list[str], rights: tuple[tuple[str, str, str], ...]
):
    (rule,) = objects["Role", role]["rules"]
    assert rule["resourceNames"] == ["redrec-allocation"]
    assert {*product(rule["verbs"], rule["apiGroups"], rule["resources"])} == {*rights}
    binding = objects["RoleBinding", role]
    assert binding["roleRef"]["name"] == role
    assert [subject["name"] for subject in binding["subjects"]] == accounts


def test_the_pods_that_call_the_api_have_a_token(objects: Objects):
    accounts = {objects["InferenceService", "redrec"]["spec"]["predictor"]["serviceAccountName"]}
    accounts |= {gate_pod(objects)["serviceAccountName"]}
    assert accounts == {"redrec", "redrec-gate"}
    assert all(objects["ServiceAccount", name]["automountServiceAccountToken"] for name in accounts)


def phase(metric: dict[str, Any], verdict: Verdict) -> str:
    """Return what Argo Rollouts makes of a verdict: where neither condition holds, it is Inconclusive."""
    conditions = {"Successful": metric["successCondition"], "Failed": metric["failureCondition"]}
    holds = [name for name, text in conditions.items() if eval(text.replace("||", "or"), {"result": verdict})]
    return holds[0] if holds else "Inconclusive"


def test_argo_rollouts_reads_the_decisions_that_the_server_gives(objects: Objects, allocation: Allocation):
    template = objects["ClusterAnalysisTemplate", "default-redrec-decision"]["spec"]
    values = {one["name"]: one.get("value", "ads") for one in template["args"]}
    (metric,) = template["metrics"]
    web = metric["provider"]["web"]
    url = web["url"]
    for name, value in values.items():
        url = url.replace("{{args." + name + "}}", value)
    path = DECISION.format(experiment=allocation.plan.experiment, scenario="ads")
    assert url == f"http://redrec-predictor.default.svc.cluster.local{path}"
    assert web["jsonPath"] == "{$.verdict}"
    verdicts = ("promote", "rollback", "invalid", "hold", "insufficient")
    phases = ["Successful", "Failed", "Failed", "Inconclusive", "Inconclusive"]
    assert [phase(metric, verdict) for verdict in verdicts] == phases


def test_the_notes_say_where_outcomes_go_and_how_to_decide_now():
    said = notes("experiment.enabled=true", "experiment.plan.experiment=towers-2", "pipelines.image.tag=any")
    assert (
        "bundle/ and features/, as `redrec run --out` writes them, and the treatment's run folder as treatment/."
        in said
    )
    assert "outcomes/ of the claim redrec-experiment" in said
    assert "kubectl create job --namespace default gate-now --from=cronjob/redrec-gate" in said
    assert r"configmap redrec-allocation -o jsonpath='{.data.allocation\.json}'" in said
    assert "Experiment" not in notes()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("experiment.plan.experiment=null", "experiment.plan.experiment is not given. Give the plan"),
        ("experiment.schedule=0 0 3 * * *", "/experiment/schedule"),
        ("experiment.claim.size=5", "/experiment/claim/size"),
        ("experiment.gate=true", "'gate' not allowed"),
        ("pipelines.image.tag=", "pipelines.image.tag is not given"),
        ("serving.enabled=false", "experiment.enabled needs serving.enabled"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, complaint: str):
    words = [helm(), "template", CHART, "--values", SHAPE, "--set", setting]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode != 0
    assert complaint in done.stderr
