"""The load job: Kubernetes' own models know its fields, and its command fetches a release to the claim."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from cli.main import main, parser
from components.images import PIPELINE_IMAGE
from jobs.load_job import LoadJobConfig, load_job
from redrec.config import InputError, validated

GIVEN = {"url": "s3://bucket/releases/abc", "claim": "redrec-bundles", "out": "releases/abc"}


class Answer:
    def __init__(self, content: object) -> None:
        self.data = json.dumps(content)


def objects(**given: object) -> list[dict[str, Any]]:
    return load_job(validated(LoadJobConfig, {**GIVEN, **given}, "options"), PIPELINE_IMAGE)


def pod(**given: object) -> dict[str, Any]:
    return objects(**given)[-1]["spec"]["template"]["spec"]


def read_back(job: dict[str, Any]) -> dict[str, Any]:
    """Return the job as Kubernetes' models parse it; they drop unknown fields."""
    api = client.ApiClient()
    return api.sanitize_for_serialization(api.deserialize(Answer(job), "V1Job"))


@pytest.mark.parametrize("given", [{}, {"secret": "object-store", "service_account": "mine", "memory": "2Gi"}])
def test_kubernetes_knows_every_field(given: dict[str, str]):
    assert read_back(objects(**given)[-1]) == objects(**given)[-1]


@pytest.mark.parametrize(
    "field", ["backoffLimit", "automountServiceAccountToken", "readOnlyRootFilesystem", "persistentVolumeClaim"]
)
def test_a_misspelt_field_is_not_known(field: str):
    misspelt = json.loads(json.dumps(objects()[-1]).replace(f'"{field}"', f'"{field}s"'))
    assert misspelt != objects()[-1]
    assert read_back(misspelt) != misspelt


def test_the_container_fetches_the_release_into_the_claim():
    (container,) = pod()["containers"]
    arguments = parser().parse_args(container["args"])
    assert container["image"] == PIPELINE_IMAGE
    assert (arguments.command, arguments.url, arguments.out) == (
        "fetch",
        "s3://bucket/releases/abc",
        Path("/mnt/volume/releases/abc"),
    )
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"volume": "/mnt/volume", "tmp": "/tmp"}
    assert pod()["volumes"][0] == {"name": "volume", "persistentVolumeClaim": {"claimName": "redrec-bundles"}}


def test_the_pod_has_no_unneeded_permission():
    account, _ = objects()
    assert account["automountServiceAccountToken"] is False
    assert pod()["serviceAccountName"] == account["metadata"]["name"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_credentials_come_from_a_secret_or_from_the_account():
    assert "envFrom" not in pod()["containers"][0]
    given = objects(secret="object-store", service_account="reader")
    assert [item["kind"] for item in given] == ["Job"]
    spec = given[0]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "reader"
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "object-store"}}]


def test_the_name_follows_from_what_is_copied():
    def name(**given: str) -> str:
        return objects(**given)[-1]["metadata"]["name"]

    assert name() == name(memory="4Gi")
    assert len({name(), name(url="s3://bucket/x"), name(claim="other"), name(out="other")}) == 4


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "/tmp/x"}, "url"),
        ({"url": "s3://bucket"}, "url"),
        ({"out": "../x"}, "out"),
        ({"secret": "A_B"}, "secret"),
        ({"claim": "A"}, "claim"),
        ({"memory": "lots"}, "memory"),
    ],
)
def test_what_cannot_run_is_refused(given: dict[str, str], field: str):
    with pytest.raises(InputError, match=f"options: {field}"):
        objects(**given)


def test_the_command_prints_what_kubectl_takes(capsys: pytest.CaptureFixture[str]):
    options = ["--url", GIVEN["url"], "--claim", GIVEN["claim"], "--out", GIVEN["out"], "--json"]
    assert main(["load-job", *options]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == objects()
