"""A small server of the Kubernetes API with one ConfigMap in namespace `shop`; the real API is in tests/cluster."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from redrec.experiments.allocation import Allocation
from serving.config_map import KEY, MapName

NAME = MapName("arms", "shop")
PATH = "/api/v1/namespaces/shop/configmaps/arms"


@dataclass
class ConfigMapApi:
    data: dict[str, str]
    port: int = 0
    version: int = 1
    refusal: int | None = None  # status of every answer
    others: list[Callable[[], None]] = field(default_factory=list)  # what another writer does before the next changes

    @property
    def allocation(self) -> Allocation:
        return Allocation.model_validate_json(self.data[KEY])

    def write(self, allocation: Allocation) -> None:
        self.data, self.version = {**self.data, KEY: allocation.model_dump_json()}, self.version + 1

    def answer(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        if self.refusal is not None or path != PATH:
            return self.refusal or 404, {"message": "no such ConfigMap, or no right"}
        if method == "PATCH":
            if self.others:
                self.others.pop(0)()
            if body["metadata"]["resourceVersion"] != str(self.version):
                return 409, {"message": "the object has been modified"}
            self.data, self.version = {**self.data, **body["data"]}, self.version + 1
        return 200, {"metadata": {"name": NAME.name, "resourceVersion": str(self.version)}, "data": self.data}


@contextmanager
def config_map_api(
    allocation: Allocation, folder: Path, monkeypatch: pytest.MonkeyPatch, port: int = 0
) -> Iterator[ConfigMapApi]:
    """Serve an allocation's ConfigMap, and let the kubeconfig name this API."""
    api = ConfigMapApi({KEY: allocation.model_dump_json(), "other": "stays"})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = api.answer(self.command, self.path.partition("?")[0], json.loads(body or "{}"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PATCH = do_GET

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        api.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {
            "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{api.port}"}}],
            "users": [{"name": "one", "user": {"token": "t"}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
            "current-context": "one",
        }
        (folder / "kubeconfig").write_text(yaml.safe_dump(settings))
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(folder / "kubeconfig")
        )  # read from the environment at import
        yield api
        server.shutdown()
