"""Tracing: a request continues its caller's trace, and its spans lead from the answer to Redis and Milvus."""

import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from redrec.config import InputError
from redrec.folders import RunFolder
from serving.tracing import ENDPOINT, start_tracing
from tests.bundles import tiny_run, upload
from tests.milvus_lite import milvus_lite
from tests.redis_server import MISSING, free_port, is_installed, start_redis, stop
from tests.serving.hostile import PREDICT
from tests.serving.processes import end, start, wait_until_ready
from tests.serving.retrieval import PATIENT
from tests.serving.rpcs import request_of, stub_of, values_of
from tests.serving.test_app import post

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
ARRIVE_S = 30


class Span(NamedTuple):
    trace: str
    id: str
    parent: str
    name: str
    attributes: dict[str, str]


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Span] = []

    @property
    def environment(self) -> dict[str, str]:
        return {ENDPOINT: f"http://127.0.0.1:{self.server_port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def of_trace(self, last: str) -> list[Span]:
        """Return the spans of the caller's trace once the last to end has come."""
        until = time.monotonic() + ARRIVE_S
        while time.monotonic() < until:
            spans = [span for span in self.spans if span.trace == TRACE]
            if any(span.name == last for span in spans):
                return spans
            time.sleep(0.05)
        raise AssertionError(f"no span {last} among {self.spans}")


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for of_scope in of_resource.scope_spans:
                self.server.spans += map(read, of_scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def read(span: Any) -> Span:
    attributes = {one.key: one.value.string_value for one in span.attributes}
    return Span(span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, attributes)


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        yield collector
        collector.shutdown()


class Traced(NamedTuple):
    url: str
    grpc_address: str
    bundle_id: str
    collector: Collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """A server with histories in Redis and items in Milvus, and what it sends."""
    if not is_installed():
        pytest.skip(MISSING)
    folder, patch = tmp_path_factory.mktemp("traced"), pytest.MonkeyPatch()
    redis_port, port, grpc_port = free_port(), free_port(), free_port()
    patch.setenv("REDREC_REDIS", f"localhost:{redis_port}")
    redis = start_redis(redis_port)
    with milvus_lite(folder / "milvus") as (milvus, _), collecting() as collector:
        bundle = tiny_run(folder, num_contenders=12)
        upload(milvus, bundle)
        (folder / "serving.json").write_text(PATIENT.model_dump_json(exclude={"milvus"}))
        folders = ("--bundle", str(bundle.path), "--features", str(RunFolder(folder).features))
        options = ("--serving_config", str(folder / "serving.json"), "--http_port", str(port))
        environment = collector.environment | {"REDREC_MILVUS_URI": milvus.uri}
        server = start(*folders, *options, "--grpc_port", str(grpc_port), **environment)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", server)
            yield Traced(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}", bundle.manifest.id, collector)
        finally:
            end(server)
            stop(redis)
            patch.undo()


def lineage(spans: list[Span], name: str) -> list[str]:
    """Return the names of the span's ancestors of our own, from the answer down."""
    by_id, names = {span.id: span for span in spans}, []
    span = next(span for span in spans if span.name == name)
    while span is not None:
        names.append(span.name)
        span = by_id.get(span.parent)  # type: ignore[assignment]
    return names[::-1]


@pytest.mark.redis
def test_spans_lead_from_the_callers_trace_to_redis_and_milvus(traced: Traced):
    body = {"instances": [{"user_id": "user-7", "scenario": "ads", "k": 4}]}
    status, answered = post(f"{traced.url}{PREDICT}", body, traceparent=TRACEPARENT)
    assert status == 200 and answered["predictions"][0]["source"] == "model"
    request = "POST /v1/models/{model_name}:predict"
    spans = traced.collector.of_trace(last=request)
    assert next(span.parent for span in spans if span.name == request) == PARENT
    for name in ("history", "tower", "search"):
        assert lineage(spans, name)[-2:] == ["answer", name] and lineage(spans, name)[0] == request
    assert lineage(spans, "HMGET")[-2] == "history"  # of all scenarios
    assert lineage(spans, "/milvus.proto.milvus.MilvusService/Search")[-2] == "search"
    assert lineage(spans, "rank")[-2] == "search"
    answer = next(span.attributes for span in spans if span.name == "answer")
    expected = {"scenario": "ads", "source": "model", "reason": "", "bundle": traced.bundle_id}
    assert answer == {f"redrec.{name}": value for name, value in expected.items()}


@pytest.mark.redis
def test_no_span_has_a_users_id(traced: Traced):
    post(f"{traced.url}{PREDICT}", {"instances": [{"user_id": "user-7", "scenario": "ads"}]}, traceparent=TRACEPARENT)
    traced.collector.of_trace(last="POST /v1/models/{model_name}:predict")
    assert "user-7" not in str(traced.collector.spans)


@pytest.mark.redis
def test_a_request_by_grpc_continues_the_callers_trace_too(traced: Traced):
    with stub_of(traced.grpc_address) as stub:
        request = request_of(user_id=["user-8"], scenario=["ads"])
        response = stub.ModelInfer(request, metadata=[("traceparent", TRACEPARENT)], timeout=60)
    assert values_of(response)["source"] == ["model"]
    method = "/inference.GRPCInferenceService/ModelInfer"
    spans = traced.collector.of_trace(last=method)
    assert next(span.parent for span in spans if span.name == method) == PARENT


def test_without_an_endpoint_nothing_is_started():
    environment = {"PATH": ""}
    start_tracing(environment)
    assert environment == {"PATH": ""}


def test_what_the_operator_set_stays():
    """In a process of its own, since tracing cannot be ended."""
    script = (
        "import os; from serving.tracing import start_tracing; start_tracing(os.environ);"
        "print(os.environ['OTEL_SERVICE_NAME'], os.environ['OTEL_METRICS_EXPORTER'])"
    )
    given = {ENDPOINT: "http://127.0.0.1:9", "OTEL_SERVICE_NAME": "feeds", "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["feeds", "none"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.auto_instrumentation", None)
    with pytest.raises(InputError, match=r"pip install 'redrec\[tracing\]', or unset it"):
        start_tracing({ENDPOINT: "http://127.0.0.1:9"})
