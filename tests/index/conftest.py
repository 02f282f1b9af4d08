"""Two Milvus servers for a test session: Milvus Lite, which starts in a second, and the real one, with TLS and login."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from redrec.index.connection import connect
from redrec.index.milvus import collection_name
from redrec.index.milvus_config import MilvusConfig
from redrec.index.server import MilvusServer
from tests.index.planted import build
from tests.milvus_lite import milvus_lite
from tests.milvus_server import MISSING, PASSWORD, is_installed, milvus_server

ids = count()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def listener() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever said."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield silent.getsockname()[1]


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """Milvus Lite as a server."""
    with milvus_lite(tmp_path_factory.mktemp("lite")) as (server, _):
        yield server


@pytest.fixture
def built(lite: MilvusServer) -> Iterator[str]:
    """The id of a bundle with a collection of its own in Milvus Lite."""
    bundle_id = f"{next(ids):016x}"
    build(lite, bundle_id, MilvusConfig())
    yield bundle_id
    drop_all(lite)


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """The real server."""
    if not is_installed():
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("milvus")
    certificate, key = write_certificate(folder)
    with milvus_server(folder / "server", tls_key=key, authorization_enabled=True) as started:
        yield MilvusServer(
            uri=f"https://{started.address}", user="root", password=PASSWORD, ca=certificate.read_text(), timeout_s=20
        )


@pytest.fixture
def new_id(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Yield what returns a new bundle id; collections are dropped at the end."""
    yield lambda: f"{next(ids):016x}"
    for name in {"lite", "secure"} & set(request.fixturenames):
        drop_all(request.getfixturevalue(name))


def drop_all(server: MilvusServer) -> None:
    client = connect(server)
    for name in client.list_collections():
        if name.startswith(collection_name("")):
            client.drop_collection(name)
    client.close()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and a file with its key and itself."""
    certificate, key = folder / "server.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.write_text(key.read_text() + certificate.read_text())
    return certificate, key
