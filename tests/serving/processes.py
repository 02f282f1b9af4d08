"""Servers in processes of their own: start, wait until ready, end."""

import os
import subprocess
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

START_S = 120  # KServe and Feast take seconds to import, and more on a busy machine
NOT_IN_THE_IMAGE = ["torch", "transformers", "kfp", "evidently", "onnx", "ibis", "duckdb"]


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    """Run `python -m serving` as the image does: without these packages."""
    hide = f"import sys, runpy; sys.modules.update(dict.fromkeys({NOT_IN_THE_IMAGE}))"
    command = [sys.executable, "-c", f"{hide}; runpy.run_module('serving', run_name='__main__')", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def wait_until_ready(url: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        try:
            with urlopen(f"{url}/v2/models/redrec/ready", timeout=5):
                return
        except (HTTPError, URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"not ready within {START_S} s")
