"""`redrec compile`: each pipeline as the YAML that Kubeflow Pipelines takes."""

import json
from pathlib import Path

import pytest
import yaml

from cli.main import main


def test_compile_writes_the_pipeline_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "train.yaml"
    assert main(["compile", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pipeline": str(out)}
    assert out.stat().st_size > 0


@pytest.mark.parametrize("pipeline", ["monitor", "experiment"])
def test_the_named_pipeline_is_compiled(pipeline: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "pipeline.yaml"
    assert main(["compile", "--pipeline", pipeline, "--out", str(out)]) == 0
    compiled = next(yaml.safe_load_all(out.read_text()))
    assert compiled["pipelineInfo"]["name"] == f"redrec-{pipeline}"
    assert f"redrec submit {out}" in capsys.readouterr().out


def test_settings_of_the_cluster_are_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings, out = tmp_path / "settings.yaml", tmp_path / "refresh.yaml"
    command = ["compile", "--pipeline", "refresh", "--settings", str(settings), "--out", str(out)]
    settings.write_text("node_selector: {pool: batch}\n")
    assert main(command) == 0
    assert "pool: batch" in out.read_text()
    settings.write_text("steps: {train: {num_gpus: 1}}\n")
    assert main(command) == 2
    assert "'prepare_data', 'train_towers'" in capsys.readouterr().err
