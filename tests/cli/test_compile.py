"""`redrec compile`: each of the two pipelines as the YAML that Kubeflow Pipelines takes."""

import json
from pathlib import Path

import pytest
import yaml

from cli.main import main


def test_compile_writes_the_pipeline_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "training.yaml"
    assert main(["compile", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pipeline": str(out)}
    assert out.stat().st_size > 0


@pytest.mark.parametrize("pipeline", ["training", "release"])
def test_the_named_pipeline_is_compiled(pipeline: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "pipeline.yaml"
    assert main(["compile", "--pipeline", pipeline, "--out", str(out)]) == 0
    compiled = next(yaml.safe_load_all(out.read_text()))
    assert compiled["pipelineInfo"]["name"] == f"redrec-{pipeline}"
    assert f"create -p redrec-{pipeline} {out}" in capsys.readouterr().out
