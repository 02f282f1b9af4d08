"""`redrec recipe`: what it prints is a recipe file."""

import json
from pathlib import Path

import pytest

from cli.command import PRESETS, load_recipe
from cli.main import main
from redrec.training import presets


def test_its_output_is_a_file_for_the_recipe_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["recipe", "--preset", "sasrec", "--set", "optimizer.num_steps=7"]) == 0
    text = capsys.readouterr().out
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    recipe = load_recipe(str(file), [])
    assert recipe.optimizer.num_steps == 7
    assert recipe == load_recipe("sasrec", ["optimizer.num_steps=7"])
    assert "# micro-batches of a step, to save memory" in text


def test_its_json_is_the_preset(capsys: pytest.CaptureFixture[str]):
    assert main(["recipe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == presets.redrec().model_dump(mode="json")


def test_the_command_line_names_every_preset():
    assert tuple(presets.PRESETS) == PRESETS
