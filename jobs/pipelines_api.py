"""Kubeflow Pipelines' API: a client whose requests end, its errors as sentences, and a run of a listed pipeline.

`kfp.Client` has no time limit for a request, asks five times, and prints to standard output.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kfp.client import Client
from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from redrec.config import InputError

REQUEST_S = 30.0
UNSUCCESSFUL = ("FAILED", "CANCELED", "CANCELING")
TOKEN_PATH, TOKEN = "KF_PIPELINES_SA_TOKEN_PATH", "/var/run/secrets/kubeflow/pipelines/token"


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


def pod_token() -> str | None:
    """Return the token of a pod, if one is projected into it for Kubeflow Pipelines."""
    file = Path(os.environ.get(TOKEN_PATH, TOKEN))
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


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


def run_of(target: Target, run_id: str | None) -> Run:
    if not run_id:
        raise ValueError("it names no run")
    return Run(run_id, f"{target.host.rstrip('/')}/#/runs/details/{run_id}")


def start_listed(client: Client, target: Target, pipeline: str, parameters: Mapping[str, Any], name: str) -> Run:
    """Start a run of the newest version of a listed pipeline, or return the run of this name that did not fail.

    So a caller that is repeated, after an answer was lost, starts no second run.

    Raises:
        InputError: No pipeline of this name is listed.
        PipelinesApiError: The API refuses, or does not answer.
    """
    with plain_errors(target), contextlib.redirect_stdout(sys.stderr):
        experiment = client.create_experiment(target.experiment, namespace=target.namespace).experiment_id
        if not experiment:
            raise ValueError("it names no experiment")
        listed, before = pipeline_id(client, target, pipeline), _unfailed_run(client, experiment, name)
    if before is not None:
        return run_of(target, before)
    if listed is None:
        raise InputError(
            f"{target.host} lists no pipeline {pipeline}. Register it: redrec compile --pipeline train --out "
            f"train.yaml, and redrec register train.yaml --host {target.host}"
        )
    with plain_errors(target), contextlib.redirect_stdout(sys.stderr):
        versions = client.list_pipeline_versions(listed, page_size=1, sort_by="created_at desc").pipeline_versions
        version = versions[0].pipeline_version_id if versions else None
        started = client.run_pipeline(experiment, name, params=dict(parameters), pipeline_id=listed, version_id=version)
        return run_of(target, started.run_id)


def _unfailed_run(client: Client, experiment: str, name: str) -> str | None:
    runs = client._run_api.run_service_list_runs(experiment_id=experiment, page_size=100, filter=named(name)).runs
    ids = [run.run_id for run in runs or [] if run.display_name == name and run.state not in UNSUCCESSFUL]
    return ids[0] if ids else None


def pipeline_id(client: Client, target: Target, name: str) -> str | None:
    """Return the id of the pipeline, if there is one in the namespace: kfp itself looks at shared ones only."""
    pipelines = client._pipelines_api.pipeline_service_list_pipelines(
        namespace=target.namespace or "", page_size=100, filter=named(name)
    ).pipelines
    return next((str(one.pipeline_id) for one in pipelines or [] if one.display_name == name), None)


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
