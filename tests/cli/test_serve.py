"""`redrec serve` in a process of its own, with the fields of a config file, and `redrec query` against it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelReadyRequest

from cli.main import main
from redrec.bundle.reader import Bundle
from redrec.folders import BundleFolder, RunFolder, read_json
from redrec.index.server import MilvusServer
from tests.bundles import upload
from tests.cli.conftest import status_and_error
from tests.index.proxy import slow_proxy
from tests.milvus_lite import milvus_lite
from tests.redis_server import free_port
from tests.serving.processes import end, wait_until_ready
from tests.serving.rpcs import stub_of
from tests.worlds import TinyRun


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[MilvusServer]:
    with milvus_lite(tmp_path / "milvus") as (server, _):
        yield server


def test_the_config_file_sets_the_budgets_of_the_stages(
    tiny_run: TinyRun, lite: MilvusServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Exact search is not allowed for any catalog, so the fallback answers while the server holds its answers back."""
    bundle, port, grpc_port = RunFolder(tiny_run.folder).bundle, free_port(), free_port()
    config = tmp_path / "serving.yaml"
    upload(lite, Bundle.load(bundle))
    with slow_proxy(lite) as (held, is_open):
        config.write_text(
            "features_budget_ms: 20000\ntower_budget_ms: 20000\nsearch_budget_ms: 50\nmax_exact_items: 0\ntower_threads: 1\n"
            f"milvus: {{uri: '{held.uri}'}}\n"
        )
        options = ["--run", str(tiny_run.folder), "--port", str(port), "--config", str(config)]
        options += ["--grpc-port", str(grpc_port)]
        server = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serve", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", server)
            is_open.clear()
            for one in (port, grpc_port):
                with pytest.raises(ConnectionRefusedError):  # other addresses of this machine are closed
                    socket.create_connection(("127.0.0.2", one))
            with stub_of(f"127.0.0.1:{grpc_port}") as stub:
                assert stub.ModelReady(ModelReadyRequest(name="redrec"), timeout=30).ready
            url = f"http://127.0.0.1:{port}"
            assert main(["query", "--url", url, "--user", "u00000001", "--scenario", "ads", "--k", "3", "--json"]) == 0
            answer = json.loads(capsys.readouterr().out)
            best = answer["items"][0]["item_id"]
            event = {"item_id": best, "action": "click", "scenario": "ads", "timestamp_ms": 1_700_000_000_000}
            query = [
                "query",
                "--url",
                url,
                "--user",
                "u",
                "--scenario",
                "ads",
                "--history",
                json.dumps([event]),
                "--json",
            ]
            is_first = []
            for option in ("--exclude-seen", "--no-exclude-seen"):
                assert main([*query, option]) == 0
                is_first.append(json.loads(capsys.readouterr().out)["items"][0]["item_id"] == best)
            assert is_first == [False, True]
            assert main([*query, "--category", "no such"]) == 0
            assert json.loads(capsys.readouterr().out)["items"] == []
            status, error = status_and_error(capsys, "serve", "--bundle", bundle, "--port", port)
            assert (status, f"cannot listen on port {port}" in error) == (2, True)
        finally:
            end(server)
    fallback = read_json(BundleFolder(bundle).fallback)
    assert (answer["source"], answer["reason"]) == ("fallback", "index_timeout")  # so the user's history was read
    assert [item["item_id"] for item in answer["items"]] == fallback["ads"][:3]


def test_an_unknown_field_of_the_config_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = tmp_path / "serving.yaml"
    config.write_text("search_budget: 1\n")
    status, error = status_and_error(capsys, "serve", "--bundle", tmp_path, "--config", config)
    assert status == 2
    assert "search_budget" in error and "search_budget_ms" in error


def test_a_run_folder_given_as_bundle_is_refused_with_its_bundle(tiny_run: TinyRun, capsys: pytest.CaptureFixture[str]):
    status, error = status_and_error(capsys, "serve", "--bundle", tiny_run.folder)
    assert (status, f"Give its bundle: {RunFolder(tiny_run.folder).bundle}" in error) == (2, True)
