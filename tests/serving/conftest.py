from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from redrec.bundle.reader import Bundle
from redrec.index.server import MilvusServer
from serving.config import ServingConfig
from tests.bundles import tiny_bundle, upload
from tests.milvus_lite import milvus_lite
from tests.serving.retrieval import PATIENT


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with the same item ids and other vectors."""
    return tiny_bundle(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A server for the tests of a module; each uploads what it needs."""
    with milvus_lite(tmp_path_factory.mktemp("milvus")) as (server, _):
        yield server


@pytest.fixture
def with_server(lite: MilvusServer) -> Callable[..., ServingConfig]:
    """Returns a configuration to serve bundles by a server that has them."""

    def config(*bundles: Bundle, **changes: int) -> ServingConfig:
        for bundle in bundles:
            upload(lite, bundle)
        return PATIENT.model_copy(update={"milvus": lite, **changes})

    return config


class Way(NamedTuple):
    """A way to search; `config` makes a bundle ready for it."""

    source: str
    config: Callable[[Bundle], ServingConfig]


@pytest.fixture(params=["in process", "by a server", "in process, since the server is too slow"])
def way(request: pytest.FixtureRequest) -> Way:
    if request.param == "in process":
        return Way("model", lambda _: PATIENT)
    with_server = request.getfixturevalue("with_server")
    if request.param == "by a server":
        return Way("model", with_server)
    return Way("exact", lambda bundle: with_server(bundle, search_budget_ms=0))
