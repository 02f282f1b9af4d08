"""`redrec release`: evaluate and bundle a model that torchrun or a TrainJob trained."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cli.command import EXAMPLE_TABLES, Outcome, add_recipe, load_recipe, say
from cli.run import run_outcome
from redrec.config import InputError, changed, validated

SECTIONS = ("data", "quality_gate", "index", "drift")  # the recipe's that the steps after the training read
SUMMARY = "evaluate and bundle a model that was trained elsewhere"
EXAMPLE = f"""# after `redrec demo`
redrec validate {EXAMPLE_TABLES} --out data
torchrun -m redrec.training --data data --out model
redrec release --data data --model model --out runs/first"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="data folder, as `redrec validate --out` writes it")
    parser.add_argument(
        "--model", type=Path, required=True, help="model folder, trained on that data by a TrainJob or redrec.training"
    )
    parser.add_argument("--out", type=Path, required=True, help="run folder to write; an earlier run in it is replaced")
    add_recipe(parser, default="the one the model was trained with")


def run(arguments: argparse.Namespace) -> Outcome:
    from pipelines.local import run_release

    recipe = released_recipe(arguments.recipe, arguments.settings, arguments.model)
    return run_outcome(run_release(arguments.data, arguments.model, arguments.out, recipe, say))


def released_recipe(recipe: str | None, settings: Sequence[str], model: Path) -> str:
    """Return the given recipe, or the one the model was trained with, with the settings of the command, as JSON.

    Raises:
        InputError: A setting is one of the training, which is over.
    """
    from redrec.model.manifest import read_model

    if not recipe and not settings:
        return json.dumps(read_model(model).recipe)
    from redrec.training.recipe import Recipe

    if recipe:
        chosen = load_recipe(recipe, ())
    else:
        chosen = validated(Recipe, read_model(model).recipe, f"the recipe of {model}")
    released = changed(chosen, settings, "--set")
    late = [
        name
        for name in Recipe.model_fields
        if name not in SECTIONS and getattr(released, name) != getattr(chosen, name)
    ]
    if late:
        raise InputError(
            f"--set of {', '.join(late)} has no effect on a model that is trained. Allowed are {', '.join(SECTIONS)}; "
            "for the others train again."
        )
    return released.model_dump_json()
