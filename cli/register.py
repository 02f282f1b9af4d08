"""`redrec register`: list a compiled pipeline in the UI of Kubeflow Pipelines."""

import argparse

from cli.command import Outcome
from cli.submit import add_target, target_of

SUMMARY = "list a compiled pipeline in the UI of Kubeflow Pipelines, as a new version if it has changed"
EXAMPLE = """redrec compile --out train.yaml
redrec register train.yaml --host http://localhost:8080"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--name", help="name of the pipeline in the UI (default: that in the file)")


def run(arguments: argparse.Namespace) -> Outcome:
    from jobs.pipelines_api import connect
    from pipelines.register import register
    from pipelines.submit import read_package

    read_package(arguments.package)  # what is no pipeline is said before the server is reached
    target = target_of(arguments)
    registered = register(connect(target), target, arguments.package, arguments.name)
    said = "is now listed" if registered.is_new else "was listed before"
    return Outcome(
        registered._asdict(), f"{registered.pipeline}, version {registered.version}, {said}: {registered.url}"
    )
