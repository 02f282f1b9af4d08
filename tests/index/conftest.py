import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from redrec.index.config import IndexConfig
from redrec.index.milvus import build_collection, collection_name, connect, release_embedded
from tests.index.planted import EMBEDDINGS, ITEMS, SCENARIOS


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "milvus.db"
    build_collection(str(path), "aaaa", ITEMS, EMBEDDINGS, SCENARIOS, IndexConfig())
    release_embedded(path)
    return path


@pytest.fixture
def uri(built: Path, tmp_path: Path) -> Iterator[str]:
    """The uri of a private copy of the built index."""
    path = tmp_path / "milvus.db"
    shutil.copytree(built, path)
    connect(str(path)).load_collection(collection_name("aaaa"))  # reopening leaves it released
    yield str(path)
    release_embedded(path)
