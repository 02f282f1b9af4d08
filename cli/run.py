"""`redrec run`: train, evaluate and bundle, on this machine."""

import argparse
from pathlib import Path

from cli.command import EXAMPLE_TABLES, Outcome, add_recipe, add_tables, recipe_json, say

SUMMARY = "train, evaluate and bundle, on this machine"
EXAMPLE = f"{EXAMPLE_TABLES} --out runs/first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tables(parser)
    parser.add_argument("--out", type=Path, required=True, help="run folder, new or of an earlier run")
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    from pipelines.local import run_training

    recipe = recipe_json(arguments.recipe)
    return run_outcome(run_training(arguments.events, arguments.items, arguments.out, recipe, say))


def run_outcome(folder: Path) -> Outcome:
    from cli.run_result import read_run, run_text

    result = read_run(folder)
    return Outcome(result.as_json(), run_text(result))
