"""Refusals: requests that end before KServe sees them, each with its status and reason, and counted."""

from http import HTTPStatus

from fastapi.responses import JSONResponse
from prometheus_client import Counter

BUSY = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)  # a moment later the same request is answered
REFUSED = Counter("redrec_refused_requests", "Requests refused before KServe saw them, by status of HTTP", ["status"])


class RefusedRequest(Exception):  # noqa: N818 # it becomes an answer
    """A request that is answered with `status` and a reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def is_busy(self) -> bool:
        return self.status in BUSY

    def count(self) -> None:
        REFUSED.labels(int(self.status)).inc()

    def answer(self) -> JSONResponse:
        """Return the answer of HTTP, and count it."""
        self.count()
        return JSONResponse({"error": str(self)}, self.status, {"Retry-After": "1"} if self.is_busy else None)
