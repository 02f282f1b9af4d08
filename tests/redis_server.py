"""A Redis server of a test's or a benchmark's own."""

import shutil
import socket
import subprocess
import time

from redis import Redis
from redis.exceptions import ConnectionError as NoAnswerError

MISSING = "redis-server is not installed: apt-get install -y redis-server"


def is_installed() -> bool:
    return shutil.which("redis-server") is not None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_redis(port: int) -> subprocess.Popen:
    """Start a server that keeps nothing on disk, and wait until it answers."""
    server = subprocess.Popen(["redis-server", "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            Redis(port=port).ping()
            return server
        except NoAnswerError:
            time.sleep(0.05)
    raise TimeoutError(f"redis-server does not answer on port {port}")


def stop(server: subprocess.Popen) -> None:
    server.kill()
    server.wait()
