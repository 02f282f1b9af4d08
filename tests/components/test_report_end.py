"""The end of a run: one POST with its state and error."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from kfp import dsl

from components.report_end import report_end


def test_the_state_and_the_error_are_posted():
    received = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        status = dsl.PipelineTaskFinalStatus("FAILED", "redrec-train-7", "run", 13, "train-towers failed")
        report_end.python_func(status, f"http://127.0.0.1:{server.server_port}/hook")
        thread.join()
    (content,) = received
    assert content["text"] == "redrec-train-7: FAILED train-towers failed"
    assert (content["run"], content["state"]) == ("redrec-train-7", "FAILED")
