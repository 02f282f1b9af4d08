from pathlib import Path

import pytest

from tests.worlds import write_world


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a small world, which no test changes."""
    return write_world(tmp_path_factory.mktemp("world"))
