"""Refusals: their answers, and how they are counted."""

from http import HTTPStatus

from prometheus_client import REGISTRY

from serving.refusals import RefusedRequest


def counted() -> float:
    return REGISTRY.get_sample_value("redrec_refused_requests_total", {"status": "429"}) or 0.0


def test_a_refusal_is_counted_by_its_status():
    before = counted()
    answer = RefusedRequest(HTTPStatus.TOO_MANY_REQUESTS, "Ask again.").answer()
    assert (answer.status_code, answer.body, counted() - before) == (429, b'{"error":"Ask again."}', 1)


def test_only_who_may_ask_again_is_told_when():
    answers = {status: RefusedRequest(status, "").answer() for status in (HTTPStatus(503), HTTPStatus(400))}
    assert {int(status): answer.headers.get("retry-after") for status, answer in answers.items()} == {
        503: "1",
        400: None,
    }
