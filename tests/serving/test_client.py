"""The client against a small HTTP server; test_app.py has it against the real one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from redrec.config import InputError
from serving.client import query

REQUESTS: list[tuple[str, dict]] = []
PREDICTION = {"items": [], "source": "model", "reason": None, "bundle_id": "b1"}


class Handler(BaseHTTPRequestHandler):
    """Records each request, and answers user `u1`; another user's id is the status."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        REQUESTS.append((self.path, body))
        is_known = body["instances"][0]["user_id"] == "u1"
        self.send_response(200 if is_known else int(body["instances"][0]["user_id"]))
        self.end_headers()
        answer = json.dumps({"predictions": [PREDICTION]}) if is_known else "no JSON"
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_only_given_options_are_sent(url: str):
    assert query(url, "u1", "ads", 3, category="tools", model_name="a b") == PREDICTION
    instance = {"user_id": "u1", "scenario": "ads", "k": 3, "category": "tools"}
    assert REQUESTS[-1] == ("/v1/models/a%20b:predict", {"instances": [instance]})


def test_an_error_that_is_no_json_is_shown_as_it_is(url: str):
    with pytest.raises(InputError, match="answered 400: no JSON"):
        query(url, "400", "ads")


def test_a_server_that_fails_is_no_wrong_input(url: str):
    with pytest.raises(ConnectionError, match="answered 503: no JSON"):
        query(url, "503", "ads")
    with pytest.raises(
        ConnectionError, match=r"No answer from http://localhost:1/.* Is `redrec serve` running there\?"
    ):
        query("http://localhost:1", "u1", "ads")


def test_an_address_of_another_protocol_is_refused():
    with pytest.raises(InputError, match=r"'file:///etc/passwd/v1/.*' is not allowed\. Give http://HOST:PORT"):
        query("file:///etc/passwd", "u1", "ads")
