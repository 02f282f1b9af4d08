"""A small server of the Kubernetes API with one namespace, `team-a`, and a thread that plays Kubeflow Trainer's controller.

It answers what a step that trains by a TrainJob asks. Each question for the job moves it on by one of `stages`; the
real API, with the definitions of Trainer, is in tests/cluster.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team-a/trainjobs"
CORE = "/api/v1/namespaces/team-a"
# As an API server of 1.36 with the definition of Trainer 2.1 answers.
UNKNOWN_FIELD = 'TrainJob in version "v1alpha1" cannot be handled as a TrainJob: strict decoding error: unknown field "spec.runtimePatches"'


def node_pod(name: str, *, phase: str = "Running", index: int = 0, **status: Any) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-completion-index": str(index)}
    return {"metadata": {"name": name, "labels": labels}, "status": {"phase": phase, **status}}


def ended(kind: str, reason: str = "JobsCompleted", message: str = "done") -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def crashed(exit_code: int = 1, finished_at: str = "2026-11-28T10:00:00Z", reason: str = "Error") -> dict[str, Any]:
    """Return the status of a pod whose container has ended with an error."""
    terminated = {"exitCode": exit_code, "reason": reason, "finishedAt": finished_at}
    state = {"terminated": terminated}
    one = {"name": "node", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return {"containerStatuses": [one]}


@dataclass
class Stage:
    """What the cluster says at one moment."""

    conditions: list[dict[str, Any]] = field(default_factory=list)
    pods: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    act: Callable[[dict[str, Any]], None] = lambda job: None  # what the nodes do with the job


@dataclass
class Namespace:
    stages: list[Stage]
    denied: set[tuple[str, str]] = field(default_factory=set)  # verb and resource
    claims: dict[str, list[str]] = field(default_factory=lambda: {"shared": ["ReadWriteMany"]})
    quota: dict[str, str] = field(default_factory=dict)
    refuses: tuple[int, str] | None = None  # status and message for a new TrainJob
    job: dict[str, Any] | None = None
    changes: list[str] = field(default_factory=list)
    moment: int = -1
    after_deletion: list[Stage] = field(default_factory=list)  # the stages of the next job

    @property
    def stage(self) -> Stage:
        return self.stages[max(self.moment, 0)]

    def answer(self, method: str, path: str, options: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if path.endswith("selfsubjectaccessreviews"):
            attributes = body["spec"]["resourceAttributes"]
            name = "/".join(filter(None, (attributes["resource"], attributes["subresource"])))
            return 201, {**body, "status": {"allowed": (attributes["verb"], name) not in self.denied}}
        if path.startswith(JOBS):
            return self.answer_job(method, options, body)
        if method == "POST":
            self.changes.append(f"POST {path.removeprefix(CORE)}")
            return 409, {"message": "exists"}
        return self.answer_core(path.removeprefix(CORE))

    def answer_job(self, method: str, options: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if method == "POST":
            if self.refuses:
                return self.refuses[0], {"message": self.refuses[1]}
            assert options["fieldValidation"] == ["Strict"]
            if self.job is not None:
                return 409, {"message": "exists"}  # a dry run says so too
            if "dryRun" not in options:
                self.job, self.moment = body, -1
                self.changes.append("POST trainjob")
        elif self.job is None:
            return 404, {"message": "not found"}
        elif method == "DELETE":
            assert options["propagationPolicy"] == ["Foreground"]
            self.job, self.stages = None, self.after_deletion or self.stages
            self.changes.append("DELETE trainjob")
        else:
            self.moment = min(self.moment + 1, len(self.stages) - 1)
            self.stage.act(self.job)
            return 200, {**self.job, "status": {"conditions": self.stage.conditions}}
        return 200, body or {}

    def answer_core(self, path: str) -> tuple[int, Any]:
        kind, _, name = path.removeprefix("/").partition("/")
        if kind == "persistentvolumeclaims":
            modes = self.claims.get(name)
            return (200, {"spec": {"accessModes": modes}}) if modes else (404, {"message": "not found"})
        if name.endswith("/log"):
            return 200, self.stage.logs.get(name.removesuffix("/log"), "")
        quota = {"metadata": {"name": "all"}, "spec": {"hard": self.quota}}
        events = [event(message) for message in self.stage.events]
        return 200, {"items": {"resourcequotas": [quota], "pods": self.stage.pods, "events": events}[kind]}


def event(message: str) -> dict[str, Any]:
    involved = {"kind": "Job", "name": "redrec-train-1-node-0"}
    return {"metadata": {"name": "e"}, "message": message, "involvedObject": involved}


@contextmanager
def trainer_api(namespace: Namespace) -> Iterator[client.ApiClient]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            url, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, content = namespace.answer(self.command, url.path, parse_qs(url.query), body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write((content if isinstance(content, str) else json.dumps(content)).encode())

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            thread.join()
