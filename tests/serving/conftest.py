import shutil
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from tests.bundles import tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Of the same items by name, with vectors of its own."""
    return tiny_bundle(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture
def swapped(bundle: Bundle, other_bundle: Bundle, tmp_path: Path) -> Path:
    """The bundle's files around the other one's index."""
    folder = tmp_path / "swapped"
    shutil.copytree(bundle.path, folder)
    shutil.rmtree(folder / "index")
    shutil.copytree(other_bundle.path / "index", folder / "index")
    return folder
