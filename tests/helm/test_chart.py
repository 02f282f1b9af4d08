"""The chart, rendered by helm itself: all supported shapes, the same specs as the plain manifests, and no silent typo."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.tools import ROOT, helm, run

CHART = ROOT / "helm" / "redrec"
SHAPES = sorted((CHART / "ci").glob("*-values.yaml"))

Objects = dict[str, dict[str, Any]]  # kind -> object


def by_kind(documents: str) -> Objects:
    return {document["kind"]: document for document in yaml.safe_load_all(documents) if document}


def render(*options: str | Path, release: str = "redrec") -> Objects:
    return by_kind(run(helm(), "template", release, CHART, *options))


def render_shape(name: str) -> Objects:
    return render("--values", CHART / "ci" / f"{name}-values.yaml")


def without_metadata(objects: Objects) -> Objects:
    stripped = {}
    for kind, one in objects.items():
        stripped[kind] = {key: value for key, value in one.items() if key != "metadata"}
    return stripped


def names(objects: Objects) -> dict[str, str]:
    return {kind: one["metadata"]["name"] for kind, one in objects.items()}


def test_default_rendering_equals_the_plain_manifests() -> None:
    plain = by_kind(
        "\n---\n".join(path.read_text() for path in sorted((ROOT / "serving" / "manifests").glob("*.yaml")))
    )
    rendered = render()
    assert without_metadata(rendered) == without_metadata(plain)
    assert names(rendered) == names(plain)


@pytest.mark.parametrize("values", SHAPES, ids=lambda path: path.stem)
def test_every_supported_shape_lints_and_renders(values: Path) -> None:
    run(helm(), "lint", "--strict", CHART, "--values", values)
    assert ("InferenceService" in render("--values", values)) == (values.stem != "disabled-values")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("serving.imag.tag=1", "'imag' not allowed"),
        ("serving.image.tag=latest", "/serving/image/tag"),
        ("serving.minReplicas=two", "/serving/minReplicas"),
        ("serving.storageUri=redrec-bundles/demo", "/serving/storageUri"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, complaint: str) -> None:
    done = subprocess.run([helm(), "template", CHART, "--set", setting], text=True, capture_output=True)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_a_release_of_another_name_has_matching_names() -> None:
    objects = render(release="shop")
    predictor = objects["InferenceService"]["spec"]["predictor"]
    assert predictor["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"] == "shop-redrec"
    assert predictor["model"]["runtime"] == objects["ServingRuntime"]["metadata"]["name"] == "shop-redrec"


def test_production_settings_reach_their_objects() -> None:
    objects = render_shape("object-store")
    container = objects["ServingRuntime"]["spec"]["containers"][0]
    assert container["image"] == "registry.example.com/redrec-serving:0.1.0"
    assert container["env"] == [{"name": "REDREC_MILVUS_URI", "value": "http://milvus.milvus.svc:19530"}]
    assert container["envFrom"] == [{"secretRef": {"name": "redrec-redis", "optional": True}}]
    assert objects["ServiceAccount"]["secrets"] == [{"name": "redrec-object-store"}]
    assert objects["InferenceService"]["spec"]["predictor"]["model"]["storageUri"] == "s3://redrec/runs/2026-11-22"
    assert "PersistentVolumeClaim" not in objects


def test_the_claim_takes_its_settings() -> None:
    claim = render_shape("shared-claim")["PersistentVolumeClaim"]
    assert claim["metadata"]["name"] == "runs"
    assert claim["spec"]["storageClassName"] == "shared"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == chart["version"] == project["version"]
