"""Recurring runs: a compiled pipeline started by Kubeflow Pipelines itself, at the times of a cron expression.

A recurring run replaces the one of its name. It is created before the old one is deleted, so a refusal leaves that one
as it is.
"""

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kfp.client import Client

from jobs.pipelines_api import Target, named, plain_errors
from redrec.config import InputError

NUM_FIELDS = 6


class RecurringRun(NamedTuple):
    id: str
    url: str
    num_replaced: int


def check_cron(cron: str) -> str:
    """Return the expression if it has six fields: of five, Kubeflow Pipelines takes the first for the second.

    >>> check_cron("0 0 3 * * *")
    '0 0 3 * * *'
    """
    if len(cron.split()) != NUM_FIELDS:
        raise InputError(
            f"--cron {cron!r} has {len(cron.split())} fields, and Kubeflow Pipelines reads {NUM_FIELDS}: second, "
            "minute, hour, day of the month, month, day of the week. Each day at 3 o'clock is '0 0 3 * * *'."
        )
    return cron


def recur(
    client: Client, target: Target, package: Path, parameters: Mapping[str, Any], name: str, cron: str
) -> RecurringRun:
    """Create a recurring run, remove others of its name in the experiment, and return its address in the UI.

    One run at a time; times that were missed are not made up for.
    """
    with plain_errors(target), contextlib.redirect_stdout(sys.stderr):
        experiment = client.create_experiment(target.experiment, namespace=target.namespace).experiment_id
        before = _of_name(client, experiment, name)
        created = client.create_recurring_run(
            experiment,
            name,
            cron_expression=cron,
            max_concurrency=1,
            no_catchup=True,
            params=dict(parameters),
            pipeline_package_path=str(package),
        ).recurring_run_id
        if not created:
            raise ValueError("it names no recurring run")
        for old in before:
            client.delete_recurring_run(old)
    return RecurringRun(created, f"{target.host.rstrip('/')}/#/recurringrun/details/{created}", len(before))


def _of_name(client: Client, experiment: str, name: str) -> list[str]:
    runs = client.list_recurring_runs(experiment_id=experiment, page_size=100, filter=named(name)).recurring_runs
    return [run.recurring_run_id for run in runs or [] if run.display_name == name]
