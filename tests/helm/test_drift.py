"""The drift CronJob in the chart: off by default, with arguments that the command reads, and no rights."""

import subprocess

import pytest

from cli.main import parser
from redrec.config import changed
from redrec.training.recipe import Recipe
from tests.cluster.tools import helm, run
from tests.helm.readme import CHART
from tests.helm.test_chart import DEFAULT, Objects, by_kind, render

SHAPE = CHART / "ci" / "drift-values.yaml"


def drift(*options: str) -> Objects:
    words = ["--values", SHAPE, "--show-only", "templates/drift/*.yaml", *options]
    return by_kind(run(helm(), "template", "redrec", CHART, *words))


def pod(objects: Objects) -> dict:
    return objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_it_is_off_by_default() -> None:
    assert "CronJob" not in render()


def test_the_command_reads_its_arguments() -> None:
    (container,) = pod(drift())["containers"]
    arguments = parser().parse_args(container["args"])
    assert (arguments.command, arguments.service) == ("monitor", "redrec")
    assert (arguments.events, arguments.items) == ("s3://shop/events/*.parquet", "s3://shop/items.parquet")
    assert (arguments.live, arguments.releases) == ("s3://shop/releases/live", "s3://shop/releases")
    assert arguments.webhook == "http://alertmanager.monitoring:9093/api/v2/alerts"
    assert arguments.pushgateway == "http://pushgateway.monitoring:9091"
    assert arguments.recipe == "hllm"
    recipe = changed(Recipe(), arguments.settings, "--set")
    assert (recipe.data.test_share, recipe.drift.cool_down_days) == (0.1, 14)
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {str(arguments.out.parent), str(arguments.run.parent), arguments.history.rpartition("/")[0]} == {
        "/mnt/drift"
    }
    assert mounted == {"/mnt/drift", "/tmp"}


def test_it_trains_only_if_requested() -> None:
    (container,) = pod(drift("--set", "drift.retrain=false"))["containers"]
    assert parser().parse_args(container["args"]).run is None


def test_two_never_run_at_once_and_none_has_rights() -> None:
    objects = drift()
    assert objects["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"
    assert not pod(objects)["automountServiceAccountToken"]
    assert pod(objects)["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
    assert "Role" not in objects and "RoleBinding" not in objects
    (container,) = pod(objects)["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["envFrom"] == [{"secretRef": {"name": "shop-store"}}]


def test_a_dollar_reaches_the_command() -> None:
    (container,) = pod(drift("--set", "drift.events=postgres://$(USER)@host/db#events"))["containers"]
    assert "--events=postgres://$$(USER)@host/db#events" in container["args"]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("drift.events=", "drift.events is not given"),
        ("drift.items=", "drift.items is not given"),
        ("drift.webhook=alertmanager:9093", "drift/webhook"),
        ("drift.schedule=weekly", "drift/schedule"),
        ("drift.retry=true", "retry"),
    ],
)
def test_what_cannot_work_is_refused(setting: str, complaint: str) -> None:
    command = [helm(), "template", "redrec", CHART, "--values", DEFAULT, "--values", SHAPE, "--set", setting]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0
    assert complaint in result.stderr
