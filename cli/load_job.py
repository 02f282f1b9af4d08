"""`redrec load-job`: print a Kubernetes Job that copies a published folder to a claim."""

import argparse

from cli.command import Outcome, add_fields, given_fields, objects_outcome
from components.images import PIPELINE_IMAGE
from jobs.load_job import LoadJobConfig, load_job

SUMMARY = "print a Kubernetes Job that copies a published folder to a claim"
EXAMPLE = (
    "redrec load-job --url s3://bucket/releases/NAME --claim redrec-bundles --out NAME --secret object-store "
    "| kubectl apply -f -"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_fields(parser, LoadJobConfig)


def run(arguments: argparse.Namespace) -> Outcome:
    return objects_outcome(load_job(given_fields(arguments, LoadJobConfig), PIPELINE_IMAGE))
