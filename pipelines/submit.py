"""Submit: start a run of a compiled pipeline on Kubeflow Pipelines, and follow it to its end.

`kfp.Client` starts it; it takes a run that was cancelled for a running one and prints to standard output, so these are
seen to here.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from kfp.client import Client

from jobs.pipelines_api import PipelinesApiError, Run, Target, plain_errors, run_of
from pipelines.progress import RunError
from redrec.config import InputError

POLL_S = 5.0
MAX_LOST_ANSWERS = 5  # in a row, while a run is followed
ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
WORDS = {"true": True, "false": False}


def parameters_of(package: Path, given: Sequence[str]) -> dict[str, Any]:
    """Return the run's parameters from `NAME=VALUE` texts, typed and checked as the compiled pipeline says.

    Raises:
        InputError: The file is no compiled pipeline, or a parameter is unknown, missing or of another type.
    """
    inputs = read_package(package)["root"].get("inputDefinitions", {})
    declared: dict[str, dict[str, Any]] = inputs.get("parameters", {})
    values = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or name not in declared:
            raise InputError(f"--parameter {text}: give NAME=VALUE; the names are {', '.join(declared)}.")
        values[name] = _typed(name, value, declared[name]["parameterType"])
    missing = [name for name, of in declared.items() if name not in values and not of.get("isOptional")]
    if missing:
        raise InputError(f"{package} needs {', '.join(missing)}. Give each as --parameter {missing[0]}=VALUE.")
    return values


def read_package(package: Path) -> dict[str, Any]:
    """Return the pipeline's own document; the second is for Kubernetes only."""
    if not package.is_file():
        raise InputError(f"{package} does not exist. Write it by `redrec compile --out {package}`.")
    try:
        document = next(yaml.safe_load_all(package.read_text(encoding="utf-8")), None)
    except yaml.YAMLError as error:
        raise InputError(f"{package} is no YAML: {error}. Write it by `redrec compile`.") from error
    if not isinstance(document, dict) or "pipelineInfo" not in document:
        raise InputError(f"{package} is no compiled pipeline. Write it by `redrec compile`.")
    return document


def _typed(name: str, value: str, parameter_type: str) -> Any:
    if parameter_type == "STRING":
        return value
    if parameter_type == "BOOLEAN" and value in WORDS:
        return WORDS[value]
    try:
        if parameter_type == "NUMBER_INTEGER":
            return int(value)
    except ValueError:
        pass
    allowed = "true or false" if parameter_type == "BOOLEAN" else "a whole number"
    raise InputError(f"--parameter {name}={value}: allowed is {allowed}.")


def start(client: Client, target: Target, package: Path, parameters: Mapping[str, Any], name: str) -> Run:
    """Start a run and return its id and its address in the UI."""
    with plain_errors(target), contextlib.redirect_stdout(sys.stderr):
        experiment = client.create_experiment(target.experiment, namespace=target.namespace)
        started = client.run_pipeline(experiment.experiment_id, name, str(package), dict(parameters))
        return run_of(target, started.run_id)


def follow(client: Client, target: Target, run: Run, say: Callable[[str], None], poll_s: float = POLL_S) -> str:
    """Say each change of a step until the run has ended, and return its state, SUCCEEDED or SKIPPED.

    Raises:
        RunError: The run failed or was cancelled.
        PipelinesApiError: The API does not answer any more; the run goes on.
    """
    seen: dict[str, str] = {}
    lost = 0
    while True:
        try:
            with plain_errors(target):
                answer = client._run_api.run_service_get_run(run_id=run.id)
            lost = 0
        except PipelinesApiError:
            lost += 1
            if lost == MAX_LOST_ANSWERS:
                raise
            time.sleep(poll_s)
            continue
        tasks = (answer.run_details and answer.run_details.task_details) or []  # None while the run is pending
        for task in tasks:
            if task.state and seen.get(task.display_name) != task.state:
                seen[task.display_name] = task.state
                say(f"{task.display_name}: {task.state.lower()}")
        if answer.state in ENDED:
            return _ended(answer, tasks, run)
        time.sleep(poll_s)


def _ended(answer: Any, tasks: Sequence[Any], run: Run) -> str:
    if answer.state in ("SUCCEEDED", "SKIPPED"):
        return str(answer.state)
    failed = [task.display_name for task in tasks if task.state == "FAILED"]
    reason = answer.error.message if answer.error else ", ".join(failed) or "no reason given"
    raise RunError(f"The run has {answer.state.lower()}: {reason}. Its steps and their logs: {run.url}")
