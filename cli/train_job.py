"""`redrec train-job`: print a Kubeflow TrainJob, which trains on one or several nodes."""

import argparse

from cli.command import Outcome, add_fields, add_recipe, given_fields, objects_outcome, recipe_json
from components.images import PIPELINE_IMAGE
from jobs.train_job import TrainJobConfig, train_job

SUMMARY = "print a Kubeflow TrainJob, which trains on one or several nodes"
EXAMPLE = "redrec train-job --claim redrec-data --num-nodes 2 | kubectl apply -f -"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_fields(parser, TrainJobConfig)
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    recipe = recipe_json(arguments.recipe, arguments.settings) or "{}"
    return objects_outcome(train_job(given_fields(arguments, TrainJobConfig), PIPELINE_IMAGE, recipe))
