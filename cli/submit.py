"""`redrec submit`: start a run of a compiled pipeline on Kubeflow Pipelines and follow it, or let it recur."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome, say

if TYPE_CHECKING:
    from jobs.pipelines_api import Target

SUMMARY = "start a run of a compiled pipeline on Kubeflow Pipelines and follow it, or let it recur"
EXAMPLE = """redrec compile --out train.yaml
redrec submit train.yaml --host http://localhost:8080 --parameter events=s3://bucket/events.parquet \
--parameter items=s3://bucket/items.parquet"""


def add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", type=Path, help="pipeline file, as `redrec compile` writes it")
    parser.add_argument(
        "--host",
        required=True,
        help="address of Kubeflow Pipelines, without /apis; a token or cookie is read from KFP_TOKEN or KFP_COOKIE, "
        "or from the file KF_PIPELINES_SA_TOKEN_PATH of a pod",
    )
    parser.add_argument(
        "--namespace", help="namespace of a Kubeflow profile (default: an installation without profiles)"
    )
    parser.add_argument("--ca", help="file with the certificate of a private authority (default: public ones)")


def target_of(arguments: argparse.Namespace) -> "Target":
    from jobs.pipelines_api import Target, pod_token

    token, cookie = os.environ.get("KFP_TOKEN") or pod_token(), os.environ.get("KFP_COOKIE")
    return Target(arguments.host, arguments.namespace, token=token, cookie=cookie, ca=arguments.ca)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--experiment", default="redrec", help="experiment that the run belongs to (default: redrec)")
    parser.add_argument(
        "--name",
        help="name of the run; with --cron it replaces another of its name (default: that of the file)",
    )
    parser.add_argument(
        "--parameter",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter of the pipeline; may be repeated (default: those of the pipeline)",
    )
    parser.add_argument(
        "--detach", action="store_true", help="print the run's address and end (default: follow the run to its end)"
    )
    parser.add_argument(
        "--cron",
        metavar="'S M H D M W'",
        help="let runs start at these times instead: second, minute, hour, day, month, day of the week, in the time "
        "zone of the installation; one at a time, missed ones are left out (default: one run, now)",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from jobs.pipelines_api import connect
    from pipelines.recurring import check_cron, recur
    from pipelines.submit import follow, parameters_of, start

    cron = check_cron(arguments.cron) if arguments.cron else None
    parameters = parameters_of(arguments.package, arguments.parameters)
    target = target_of(arguments)._replace(experiment=arguments.experiment)
    client = connect(target)
    name = arguments.name or arguments.package.stem
    if cron:
        recurring = recur(client, target, arguments.package, parameters, name, cron)
        replaced = f" It replaces {recurring.num_replaced} of its name." if recurring.num_replaced else ""
        return Outcome(recurring._asdict(), f"Runs of {name} recur at '{cron}': {recurring.url}{replaced}")
    started = start(client, target, arguments.package, parameters, name)
    say(f"Run {started.id}: {started.url}")
    state = "STARTED" if arguments.detach else follow(client, target, started, say)
    return Outcome(
        {"run": started.id, "url": started.url, "state": state},
        f"The run has {state.lower()}: {started.url}",
    )
