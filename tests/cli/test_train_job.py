"""`redrec train-job`: the objects that kubectl takes, with the recipe inside."""

import json
from pathlib import Path

import pytest

from cli.main import main
from tests.jobs.test_train_job import pod


def test_the_command_prints_what_kubectl_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("seed: 7\n")
    assert main(["train-job", "--claim", "redrec-data", "--recipe", str(recipe), "--json"]) == 0
    objects = json.loads(capsys.readouterr().out)
    assert (objects["kind"], [item["kind"] for item in objects["items"]]) == ("List", ["ServiceAccount", "TrainJob"])
    assert json.loads(pod(objects["items"][1])["metadata"]["annotations"]["redrec/recipe"])["seed"] == 7
