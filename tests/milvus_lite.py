"""Milvus Lite as a server in a process of its own: what a test of collections needs, without Docker."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redrec.index.server import MilvusServer
from tests.redis_server import free_port

START_S = 120


def start_lite(folder: Path, port: int) -> subprocess.Popen:
    """Start a server, again after a kill, and wait until it listens."""
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder)]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command + address, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_listening(port)
    except BaseException:
        process.kill()
        raise
    return process


@contextmanager
def milvus_lite(folder: Path) -> Iterator[tuple[MilvusServer, subprocess.Popen]]:
    """Yield a server and its process, with its files in `folder`."""
    port = free_port()
    process = start_lite(folder, port)
    try:
        yield MilvusServer(uri=f"http://127.0.0.1:{port}"), process
    finally:
        process.kill()
        process.wait()


def _wait_until_listening(port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port} after {START_S} s")
