"""Evidently's own service, started for a test."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.redis_server import free_port

SECRET = "only-the-drift-job-writes"
START_SECONDS = 300  # its imports take ten seconds of CPU time, and the machine may be busy


@contextmanager
def evidently_service(folder: Path) -> Iterator[str]:
    """Serve the workspace in `folder`, and yield the URL."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "evidently"), "ui", "--workspace", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"DO_NOT_TRACK": "1", "EVIDENTLY_SECRET": SECRET}
    with (folder / "service.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(server, f"http://127.0.0.1:{port}/api/version", folder / "service.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait(server: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.2)
    raise TimeoutError(f"Evidently's service does not answer; it says: {log.read_text()}")
