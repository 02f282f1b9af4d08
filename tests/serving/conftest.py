import shutil
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.folders import BundleFolder
from tests.bundles import tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with the same item ids and other vectors."""
    return tiny_bundle(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture
def swapped(bundle: Bundle, other_bundle: Bundle, tmp_path: Path) -> Path:
    """The bundle's files with the index of the other bundle."""
    folder = tmp_path / "swapped"
    shutil.copytree(bundle.path, folder)
    index = BundleFolder(folder).embedded_index
    shutil.rmtree(index)
    shutil.copytree(other_bundle.folder.embedded_index, index)
    return folder
