"""A small server of Kubeflow Pipelines' API v2beta1: it keeps what it gets and gives recorded answers."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Answers of a real server (2.17.0), shortened: a run is pending without details, then it runs, then it has ended.
EXPERIMENT = {"experiment_id": "e-1", "display_name": "redrec", "namespace": "", "created_at": "2026-11-22T10:00:00Z"}
RECURRING = {"recurring_run_id": "rr-1", "display_name": "nightly", "experiment_id": "e-1", "status": "ENABLED"}
STEP = {"run_id": "r-1", "task_id": "t-1", "display_name": "prepare-data", "create_time": "2026-11-22T10:00:01Z"}


def run_in(state: str, step: str | None = None, error: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"run_id": "r-1", "experiment_id": "e-1", "display_name": "train", "state": state}
    if step:
        answer["run_details"] = {"task_details": [{**STEP, "state": step}]}
    return answer | ({"error": {"code": 13, "message": error}} if error else {})


SUCCESS = [run_in("PENDING"), run_in("RUNNING", "RUNNING"), run_in("SUCCEEDED", "SUCCEEDED")]


class KfpApi(ThreadingHTTPServer):
    """`runs` are the answers to one question after another; `refuses` is a status and a body for every
    request, or for those whose method and path begin as `refused` says.
    """

    def __init__(self, runs: list[Any], refuses: tuple[int, str] | None, hangs_s: float, refused: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs, self.refuses, self.hangs_s, self.refused = list(runs), refuses, hangs_s, refused
        self.pipelines: list[dict[str, str]] = []
        self.versions: list[dict[str, str]] = []
        self.named: list[dict[str, Any]] = []  # runs in a list
        self.received: list[tuple[str, str, dict[str, str], Any]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that did not wait for the answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def sent(self, method: str, path: str) -> Any:
        """Return the body of the only such request."""
        (body,) = [body for m, p, _, body in self.received if (m, p.partition("?")[0]) == (method, path)]
        return body


class Handler(BaseHTTPRequestHandler):
    server: KfpApi

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_DELETE(self) -> None:
        self.answer("DELETE")

    def answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        is_file = (self.headers.get("Content-Type") or "").startswith("multipart/")
        body = content.decode() if is_file else json.loads(content or "null")
        self.server.received.append(
            (method, self.path, {key.lower(): value for key, value in self.headers.items()}, body)
        )
        time.sleep(self.server.hangs_s)
        is_refused = f"{method} {self.path}".startswith(self.server.refused)
        status, content = (is_refused and self.server.refuses) or (200, json.dumps(self.content(method)))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content.encode())

    def content(self, method: str) -> dict[str, Any]:
        path = self.path.partition("?")[0].removeprefix("/apis/v2beta1/")
        if path == "healthz":
            return {"multi_user": False}
        if path.startswith("recurringruns"):
            return RECURRING | {"recurring_run_id": "rr-2"} if method == "POST" else self.recurring_runs(method)
        if path.startswith("pipelines"):
            return self.pipelines(path)
        if path == "experiments":
            return EXPERIMENT if method == "POST" else {}
        if path == "runs" and method == "GET":
            return {"runs": self.server.named}
        return run_in("PENDING") if method == "POST" else self.server.runs.pop(0)

    def recurring_runs(self, method: str) -> dict[str, Any]:
        others = [RECURRING, {**RECURRING, "recurring_run_id": "rr-3", "display_name": "nightly-other"}]
        return {"recurringRuns": others} if method == "GET" else {}

    def pipelines(self, path: str) -> dict[str, Any]:
        if path == "pipelines":
            return {"pipelines": self.server.pipelines}
        if path.endswith("/versions"):
            return {"pipeline_versions": self.server.versions}
        return {"pipeline_id": "p-1", "pipeline_version_id": "v-2", "display_name": "x"}  # uploaded

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def kfp_api(
    runs: list[Any] = SUCCESS, refuses: tuple[int, str] | None = None, hangs_s: float = 0, refused: str = ""
) -> Iterator[KfpApi]:
    with KfpApi(runs, refuses, hangs_s, refused) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
