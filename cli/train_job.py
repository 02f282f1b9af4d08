"""`redrec train-job`: print a Kubeflow TrainJob, which trains on one or several nodes."""

import argparse

import yaml

from cli.command import Outcome, add_recipe, recipe_json
from jobs.train_job import TrainJobConfig, train_job
from redrec.config import validated

SUMMARY = "print a Kubeflow TrainJob, which trains on one or several nodes"
EXAMPLE = "redrec train-job --claim redrec-data --num-nodes 2 | kubectl apply -f -"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for name, field in TrainJobConfig.model_fields.items():
        is_required = field.is_required()
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=is_required,
            default=argparse.SUPPRESS,  # TrainJobConfig has the defaults
            help=field.description if is_required else f"{field.description} (default: {field.default})",
        )
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    given = {name: value for name, value in vars(arguments).items() if name in TrainJobConfig.model_fields}
    objects = train_job(validated(TrainJobConfig, given, "options"), recipe_json(arguments.recipe) or "{}")
    return Outcome(
        {"apiVersion": "v1", "kind": "List", "items": objects}, yaml.safe_dump_all(objects, sort_keys=False).rstrip()
    )
