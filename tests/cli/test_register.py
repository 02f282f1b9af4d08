"""`redrec register`: says where the pipeline is listed, and refuses what is no pipeline."""

from pathlib import Path

import pytest

from cli.main import main
from tests.cli.conftest import status_and_error
from tests.pipelines.kfp_api import kfp_api


def test_a_pipeline_is_listed_under_its_name_by_a_pods_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "token").write_text("projected\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    package = tmp_path / "refresh.yaml"
    package.write_text("pipelineInfo: {name: redrec-refresh}\nroot: {}\n")
    with kfp_api() as api:
        assert main(["register", str(package), "--host", api.url, "--name", "nightly"]) == 0
    assert all(headers["authorization"] == "Bearer projected" for _, _, headers, _ in api.received)
    out = capsys.readouterr().out
    assert out.startswith("nightly, version ")
    assert out.endswith(f"is now listed: {api.url}/#/pipelines/details/p-1/version/v-2\n")


def test_what_is_no_pipeline_is_refused_before_the_server_is_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    status, error = status_and_error(capsys, "register", str(tmp_path / "absent.yaml"), "--host", "http://127.0.0.1:1")
    assert (status, "redrec compile --out" in error) == (2, True)
