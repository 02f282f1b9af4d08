"""`redrec submit`: a followed run ends with status 0, a failed one or a refusal with 1."""

import json
from pathlib import Path

import pytest

from cli.main import main
from pipelines.compile import compile_pipeline
from tests.cli.conftest import status_and_error
from tests.pipelines.kfp_api import kfp_api, run_in


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_pipeline("refresh", tmp_path_factory.mktemp("submit") / "refresh.yaml")


def command(package: Path, url: str) -> list[str]:
    parameters = ["--parameter", "events=e.csv", "--parameter", "items=i.csv"]
    return ["submit", str(package), "--host", url, "--experiment", "nightly", "--name", "first", *parameters]


def test_a_run_is_started_and_followed(package: Path, capsys: pytest.CaptureFixture[str]):
    with kfp_api([run_in("SUCCEEDED", "SUCCEEDED")]) as api:
        assert main([*command(package, api.url), "--json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out) == {"run": "r-1", "url": f"{api.url}/#/runs/details/r-1", "state": "SUCCEEDED"}
    assert f"Run r-1: {api.url}/#/runs/details/r-1\nprepare-data: succeeded" in error


def test_a_detached_run_is_not_followed(package: Path, capsys: pytest.CaptureFixture[str]):
    with kfp_api([]) as api:
        assert main([*command(package, api.url), "--detach"]) == 0
    assert capsys.readouterr().out == f"The run has started: {api.url}/#/runs/details/r-1\n"


def test_a_failed_run_and_a_refusal_end_with_status_1(package: Path, capsys: pytest.CaptureFixture[str]):
    with kfp_api([run_in("FAILED", "FAILED")]) as api:
        status, error = status_and_error(capsys, *command(package, api.url))
    assert (status, "The run has failed: prepare-data" in error) == (1, True)
    with kfp_api(refuses=(401, "")) as api:
        status, error = status_and_error(capsys, *command(package, api.url))
    assert (status, "answers 401" in error, "Traceback" in error) == (1, True, False)


def test_a_recurring_run_is_created_and_not_followed(package: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--cron", "0 0 3 * * *"]
    with kfp_api([]) as api:
        assert main([*command(package, api.url), *words]) == 0
    recurring = f"{api.url}/#/recurringrun/details/rr-2"
    assert capsys.readouterr().out == f"Runs of first recur at '0 0 3 * * *': {recurring}\n"
    with kfp_api([]) as api:
        assert main([*command(package, api.url), *words, "--name", "nightly"]) == 0
    assert "It replaces 1 of its name" in capsys.readouterr().out
    status, error = status_and_error(capsys, *command(package, "http://unused"), "--cron", "0 3 * * *")
    assert (status, "has 5 fields" in error) == (2, True)
