"""The recipe option: no recipe, a preset by name, or a file."""

import json
from pathlib import Path

from cli.command import load_recipe, recipe_json
from redrec.training.presets import sasrec


def test_a_recipe_is_a_preset_or_a_file(tmp_path: Path):
    file = tmp_path / "recipe.yaml"
    file.write_text("seed: 7\n")
    assert recipe_json(None) == ""
    assert load_recipe(Path("sasrec")) == sasrec()
    assert json.loads(recipe_json(file))["seed"] == 7
