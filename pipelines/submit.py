"""Submit: start a run of a compiled pipeline on Kubeflow Pipelines, and follow it to its end.

The run is started by `kfp.Client`; it has no time limit for a request, takes a run that was cancelled for a running one
and prints to standard output, so these are seen to here.
"""

import contextlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from kfp.client import Client
from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from pipelines.progress import RunError
from redrec.config import InputError

REQUEST_S = 30.0
POLL_S = 5.0
MAX_LOST_ANSWERS = 5  # in a row, while a run is followed
ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
WORDS = {"true": True, "false": False}


class PipelinesApiError(ConnectionError):
    """The API of Kubeflow Pipelines refused a request or did not answer; the message says what to do."""


class Target(NamedTuple):
    """Where the run starts, and who starts it."""

    host: str
    namespace: str | None = None  # of a Kubeflow profile; None: Kubeflow Pipelines without profiles
    experiment: str = "redrec"
    token: str | None = None
    cookie: str | None = None
    ca: str | None = None  # file with the certificate of a private authority


class Run(NamedTuple):
    id: str
    url: str


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


def connect(target: Target) -> Client:
    """Return a client whose requests end after `REQUEST_S`.

    Raises:
        PipelinesApiError: The API does not answer, or refuses the login.
    """
    with plain_errors(target), warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore", FutureWarning)  # said by every client
        client = _OneTryClient(
            host=target.host,
            namespace=target.namespace or "kubeflow",
            existing_token=target.token,
            cookies=target.cookie,
            ssl_ca_cert=target.ca,
        )
    _limit_time(client._run_api.api_client)  # which all its APIs share
    return client


class _OneTryClient(Client):
    def _load_config(self, *arguments: Any, **options: Any) -> Any:
        config = super()._load_config(*arguments, **options)
        config.retries = False  # otherwise a server that hangs is waited for four times
        return config

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
        """Ask once: kfp asks five times, whatever the answer is."""
        _limit_time(self._healthz_api.api_client)
        return self._healthz_api.healthz_service_get_healthz()


def _limit_time(api_client: Any) -> None:
    request = api_client.rest_client.request

    def limited(*arguments: Any, **options: Any) -> Any:
        # A pair, for connecting and reading: of a single number the generated client ignores one with a fraction.
        return request(*arguments, **{**options, "_request_timeout": (REQUEST_S, REQUEST_S)})

    api_client.rest_client.request = limited


def start(client: Client, target: Target, package: Path, parameters: Mapping[str, Any], name: str) -> Run:
    """Start a run and return its id and its address in the UI."""
    with plain_errors(target), contextlib.redirect_stdout(sys.stderr):
        experiment = client.create_experiment(target.experiment, namespace=target.namespace)
        started = client.run_pipeline(experiment.experiment_id, name, str(package), dict(parameters))
        if not started.run_id:
            raise ValueError("it names no run")
    return Run(started.run_id, f"{target.host.rstrip('/')}/#/runs/details/{started.run_id}")


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


@contextlib.contextmanager
def plain_errors(target: Target) -> Iterator[None]:
    """Turn what the client raises into a PipelinesApiError."""
    try:
        yield
    except ApiException as error:
        raise PipelinesApiError(refusal(target, error)) from error
    except NewConnectionError as error:  # which is a TimeoutError by its class
        raise PipelinesApiError(_no_answer(target, error)) from error
    except TimeoutError as error:
        raise PipelinesApiError(
            f"{target.host} did not answer within {REQUEST_S:.0f} s. Look whether its pod ml-pipeline is ready."
        ) from error
    except HTTPError as error:
        raise PipelinesApiError(_no_answer(target, error)) from error
    except (ValueError, AttributeError) as error:  # an answer that is no JSON of the API, such as a login page
        raise PipelinesApiError(
            f"{target.host} answers with something else than the API of Kubeflow Pipelines, perhaps a page to log in: "
            f"{error}. Log in, and set KFP_COOKIE or KFP_TOKEN."
        ) from error


def _no_answer(target: Target, error: BaseException) -> str:
    return (
        f"{target.host} cannot be reached: {error}. Correct --host, or forward the port: "
        "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80"
    )


def named(name: str) -> str:
    """Return the filter of a list request for objects of this name, as the API takes it."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def refusal(target: Target, error: ApiException) -> str:
    """Return what the status means and what to do."""
    where = f"namespace {target.namespace}" if target.namespace else "this installation"
    remedies = {
        0: f"The certificate is not trusted. Give its authority's file by --ca. ({error.reason})",
        400: f"It refuses the request: {_message(error)}. Without profiles leave out --namespace; with them give it.",
        401: "The token or cookie is missing, wrong or expired. Log in again, and set KFP_TOKEN or KFP_COOKIE.",
        403: f"You may not start runs in {where}: {_message(error)}. Ask its owner for the role kubeflow-edit.",
        404: "There is no such object, or no API of Kubeflow Pipelines at this address. Correct --host: it is what "
        "comes before /apis/v2beta1.",
    }
    said = remedies.get(
        error.status, f"It failed: {_message(error)}. Look at the log of its pod ml-pipeline, and retry."
    )
    return f"{target.host} answers {error.status}. {said}"


def _message(error: ApiException) -> str:
    """Return the sentence in the answer's body, or the status as text."""
    try:
        content = json.loads(error.body or "")
    except (TypeError, ValueError):
        return str(error.reason)
    message = content.get("message") or content.get("error") if isinstance(content, dict) else None
    return str(message or error.reason).rstrip(".")
