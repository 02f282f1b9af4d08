"""`redrec recipe`: print all choices of a training run, as a file for `--recipe`."""

import argparse

from cli.command import PRESETS, Outcome, add_settings, load_recipe

SUMMARY = "print all choices of a training run, as a file for --recipe"
EXAMPLE = "redrec recipe --preset redrec --set optimizer.num_steps=2000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, default="redrec", help="(default: redrec)")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.config_yaml import to_yaml

    recipe = load_recipe(arguments.preset, arguments.settings)
    return Outcome(recipe.model_dump(mode="json"), to_yaml(recipe).rstrip())
