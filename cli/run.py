"""`redrec run`: train a model, evaluate it and build its release bundle, on this machine."""

import argparse
from pathlib import Path

from cli.command import EXAMPLE_TABLES, Outcome, add_recipe, add_tables, recipe_json, say, settings_of

SUMMARY = "train a model, evaluate it and build its release bundle, on this machine"
EXAMPLE = f"# after `redrec demo`\nredrec run {EXAMPLE_TABLES} --out runs/first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tables(parser)
    parser.add_argument("--out", type=Path, required=True, help="run folder to write; an earlier run in it is replaced")
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    from pipelines.local import run_training

    recipe = recipe_json(arguments.recipe, settings_of(arguments))
    return run_outcome(run_training(arguments.events, arguments.items, arguments.out, recipe, say))


def run_outcome(folder: Path) -> Outcome:
    from cli.run_result import read_run, run_text

    result = read_run(folder)
    return Outcome(result.as_json(), run_text(result))
