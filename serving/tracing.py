"""Tracing by OpenTelemetry: spans of a request, its answers and their stages, and of calls of Redis and Milvus.

It is on where `OTEL_EXPORTER_OTLP_ENDPOINT` says where spans are sent, with OpenTelemetry's own variables for all other
settings and the extra `tracing` for its packages. FastAPI makes the spans of HTTP requests, and OpenTelemetry's
instrumentation those of gRPC's, of Redis and of Milvus. A request continues the trace that its header `traceparent`
names, and so does Milvus. No span has a user's id.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any

from opentelemetry import trace

from redrec.config import InputError

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
DEFAULTS = {
    "OTEL_SERVICE_NAME": "redrec",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",  # the exporter of the extra
    "OTEL_METRICS_EXPORTER": "none",  # Prometheus has them
    "OTEL_LOGS_EXPORTER": "none",
}
IS_ON = bool(os.environ.get(ENDPOINT))
TRACER, NO_SPAN = trace.get_tracer("redrec"), nullcontext(trace.INVALID_SPAN)


def start_tracing(environment: MutableMapping[str, str]) -> None:
    """Start it if the environment says where spans are sent; before clients and servers are made.

    Raises:
        InputError: The packages are not installed.
    """
    if not environment.get(ENDPOINT):
        return
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    try:
        from opentelemetry.instrumentation.auto_instrumentation import initialize
    except ModuleNotFoundError as error:
        raise InputError(
            f"{ENDPOINT} is set, but the packages for tracing are missing. "
            "Install them, pip install 'redrec[tracing]', or unset it."
        ) from error
    initialize()


def span(name: str, **attributes: str) -> AbstractContextManager[trace.Span]:
    """Return a context that is a span of the current one; attributes are named `redrec.<name>`."""
    if not IS_ON:
        return NO_SPAN  # OpenTelemetry's own takes 13 microseconds to do nothing
    return TRACER.start_as_current_span(name, attributes=redrec_attributes(attributes))


def link_to_current(spans: Iterable[trace.Span]) -> None:
    """Link spans of other requests to the current one, which has the stages that they share."""
    shared = trace.get_current_span().get_span_context()
    for span in spans:
        if span.get_span_context() != shared:
            span.add_link(shared)


def redrec_attributes(attributes: dict[str, str]) -> dict[str, str]:
    return {f"redrec.{name}": value for name, value in attributes.items()}


def in_context(threads: ThreadPoolExecutor, step: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """Run it on a thread, where its spans are those of the current one."""
    return asyncio.get_running_loop().run_in_executor(threads, copy_context().run, step, *arguments)
