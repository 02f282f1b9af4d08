"""Evidently's service in the chart: off by default, with a secret for writers, closed to all but named callers."""

import subprocess

from monitoring.workspace import SECRET
from tests.cluster.tools import helm, run
from tests.helm.readme import CHART
from tests.helm.test_chart import Objects, by_kind, render

SHAPE = CHART / "ci" / "evidently-values.yaml"


def service() -> Objects:
    documents = run(helm(), "template", "redrec", CHART, "--values", SHAPE, "--show-only", "templates/evidently/*.yaml")
    return by_kind(documents)


def test_it_is_off_by_default() -> None:
    assert "Deployment" not in render()


def test_the_service_leads_to_its_pods_and_to_no_others() -> None:
    objects = service()
    selector = objects["Service"]["spec"]["selector"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector == objects["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector == objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= labels.items()
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] == container(objects)["ports"][0]["name"]


def container(objects: Objects) -> dict:
    (only,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def test_the_secret_is_where_the_drift_job_and_evidently_read_it() -> None:
    (variable,) = container(service())["env"]
    assert variable["name"] == SECRET
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "redrec-evidently", "key": SECRET}


def test_it_may_take_minutes_to_start() -> None:
    probe = container(service())["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 300


def test_only_named_callers_reach_it_since_its_readers_need_no_login() -> None:
    (rule,) = service()["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app": "oauth2-proxy"}}}]


def test_its_claim_takes_its_settings() -> None:
    objects = service()
    (workspace, _) = objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert (
        workspace["persistentVolumeClaim"]["claimName"]
        == objects["PersistentVolumeClaim"]["metadata"]["name"]
        == "drift"
    )
    assert objects["PersistentVolumeClaim"]["spec"]["storageClassName"] == "shared"


def test_without_a_secret_it_is_refused() -> None:
    command = [helm(), "template", "redrec", str(CHART), "--values", str(SHAPE), "--set", "evidently.existingSecret="]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "evidently.existingSecret is not given" in done.stderr
