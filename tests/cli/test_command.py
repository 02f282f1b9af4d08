"""The recipe options: no recipe, a preset by name, or a file, and fields that are set on the command line."""

import argparse
import json
from pathlib import Path

import pytest

from cli.command import add_recipe, load_recipe, recipe_json
from redrec.config import InputError
from redrec.training.presets import sasrec


def given(*argv: str) -> tuple[str | None, list[str]]:
    parser = argparse.ArgumentParser()
    add_recipe(parser)
    arguments = parser.parse_args(argv)
    return arguments.recipe, arguments.settings


def test_a_recipe_is_a_preset_or_a_file(tmp_path: Path):
    file = tmp_path / "recipe.yaml"
    file.write_text("seed: 7\n")
    assert recipe_json(*given()) == ""
    assert load_recipe("sasrec", []) == sasrec()
    assert json.loads(recipe_json(*given("--recipe", str(file))))["seed"] == 7


def test_settings_change_the_recipe_in_their_order():
    recipe = json.loads(
        recipe_json(*given("--recipe", "hllm", "--set", "seed=3,optimizer.num_steps=9", "--set", "seed=4"))
    )
    assert (recipe["seed"], recipe["optimizer"]["num_steps"]) == (4, 9)
    assert recipe["user_tower"]["num_queries"] == 0  # the preset's


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match="--recipe nosuch is no file and no preset. Give a file, or one of redrec, paper, hllm"
    ):
        load_recipe("nosuch", [])


def test_a_setting_that_no_recipe_has_is_refused_with_its_option():
    message = (
        "^--set: optimizer.num_stepz: unknown key, did you mean num_steps[?] Allowed keys of optimizer: num_steps, "
    )
    with pytest.raises(InputError, match=message):
        load_recipe("redrec", ["optimizer.num_stepz=3"])
