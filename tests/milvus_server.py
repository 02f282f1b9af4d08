"""A Milvus server of a test's or a benchmark's own: the real one, from the package `milvus`, without Docker."""

import importlib.util
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MISSING = "milvus is not installed: pip install milvus==2.3.5"
PASSWORD = "Milvus"  # of the user root, in a new server
NUM_PORTS = 13


@dataclass
class MilvusServer:
    address: str  # HOST:PORT
    folder: Path
    environment: dict[str, str]

    def start(self) -> None:
        """Start it, again after a kill, and wait until it answers."""
        command, log = [self.environment["LD_LIBRARY_PATH"] + "/milvus", "run", "standalone"], self.folder / "log.txt"
        with log.open("ab") as file:
            options: dict[str, Any] = {"cwd": self.folder, "env": self.environment, "stdout": file, "stderr": file}
            self.process = subprocess.Popen(command, **options)
        _wait(f"http://127.0.0.1:{self.environment['METRICS_PORT']}/healthz", self.process, log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def is_installed() -> bool:
    return importlib.util.find_spec("milvus") is not None


@contextmanager
def milvus_server(folder: Path, *, tls_key: Path | None = None, **options: Any) -> Iterator[MilvusServer]:
    """Start a server with its files in `folder`, and wait until it answers.

    `options` are those of the template of its configuration. With `tls_key`, a file with a key and its certificate,
    it speaks TLS.
    """
    folder.mkdir(exist_ok=True)
    ports = free_ports(NUM_PORTS)
    if tls_key is not None:
        options |= {"tls_mode": 1, "server_pem_path": str(tls_key), "server_key_path": str(tls_key)}
    server = MilvusServer(f"127.0.0.1:{ports[0]}", folder, _write_config(folder, ports, options))
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _write_config(folder: Path, ports: list[int], options: dict[str, Any]) -> dict[str, str]:
    """Write the configuration of the server and of its etcd; return the environment of the process."""
    from milvus import MilvusServerConfig

    config = MilvusServerConfig(data_dir=str(folder))
    client, peer, metrics, *rest = ports[1:]
    names = [name for name in config.configurable_items if name.endswith("_port") and name != "proxy_port"]
    for name, value in {"proxy_port": ports[0], **dict(zip(names, rest, strict=False)), "etcd_port": client}.items():
        config.update(**{name: value})
    config.resolve_storage()
    for name, value in {**config.configs, **options, "log.level": "warn"}.items():
        config.set(name, value)
    config.write_config()
    return os.environ | {
        "DEPLOY_MODE": "STANDALONE",
        "ETCD_CONFIG_PATH": str(_write_etcd(folder, client, peer)),
        "ETCD_ENDPOINTS": f"127.0.0.1:{client}",
        "ETCD_USE_EMBED": "true",
        "LD_LIBRARY_PATH": str(_binaries()),
        "METRICS_PORT": str(metrics),
        "MILVUS_RUN_DIR": str(folder / "run"),
    }


def _write_etcd(folder: Path, client: int, peer: int) -> Path:
    """Its embedded etcd takes the ports 2379 and 2380 else, where another etcd may be."""
    clients, peers, path = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}", folder / "etcd.yaml"
    content = {
        "name": "default",
        "data-dir": str(folder / "etcd"),
        "listen-client-urls": clients,
        "advertise-client-urls": clients,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
        "log-level": "error",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def _binaries() -> Path:
    """Return the folder of the unpacked program, 246 MB; it takes 4 s, so later sessions use it again."""
    import milvus

    unpacked = Path(tempfile.gettempdir()) / f"milvus-{milvus.__version__}"
    if not unpacked.is_dir():
        with tempfile.TemporaryDirectory(dir=unpacked.parent) as new:
            milvus._initialize_data_files(new)
            (Path(new) / "bin").rename(unpacked)
    return unpacked


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for listener in sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if b"OK" in answer.read():
                    return
        except OSError:  # it does not listen yet, or says that a part of it is not up
            pass
        time.sleep(0.2)
    raise AssertionError(f"Milvus is not up; its log ends:\n{log.read_text()[-3000:]}")
