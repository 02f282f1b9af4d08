"""Results of windows as a test writes them down, and a receiver of what is sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple

from redrec.drift.history import Span
from redrec.drift.verdicts import Action, ColumnDrift, ColumnVerdict, Drift, DriftVerdict, ScenarioDrift

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def column(verdict: ColumnVerdict = "drift", effect: float | None = 0.12) -> ColumnDrift:
    if effect is None:
        return ColumnDrift(test="values", verdict=verdict, what="no value")
    return ColumnDrift(
        test="permutation", p=0.001, p_adjusted=0.004, effect=effect, floor=0.03, verdict=verdict, what="changed"
    )


def scenario(verdict: DriftVerdict = "stable", action: Action = "none", **columns: ColumnDrift) -> ScenarioDrift:
    """Return a scenario; of one that drifts, without columns, `category` has drifted."""
    if verdict == "drift" and not columns:
        columns = {"category": column()}
    return ScenarioDrift(
        verdict=verdict,
        action=action,
        reason=f"planted: {verdict}",
        users={"reference": 1000, "current": 900},
        events={"reference": 8000, "current": 7000},
        columns=columns,
    )


def span(day: float, days: float = 7) -> Span:
    start = FIRST + timedelta(days=day)
    return start.isoformat(), (start + timedelta(days=days)).isoformat()


def window(day: float, days: float = 7, **scenarios: ScenarioDrift | DriftVerdict) -> Drift:
    """Return the result of the window that begins on this day, whose reference is the week before day 0."""
    results = {name: scenario(one) if isinstance(one, str) else one for name, one in scenarios.items()}
    return Drift(windows={"reference": span(-7), "current": span(day, days)}, scenarios=results)


class Received(NamedTuple):
    method: str
    path: str
    content: bytes
    content_type: str


@contextmanager
def receiver(status: int = 200, answer: bytes = b"") -> Iterator[tuple[str, list[Received]]]:
    """Yield the address of an HTTP server that answers each request with `status`, and what it has received."""
    received: list[Received] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(Received(self.command, self.path, content, self.headers["Content-Type"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()
