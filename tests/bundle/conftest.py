import shutil
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from tests.bundles import tiny_bundle


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def run(built: Bundle, tmp_path: Path) -> Path:
    """A private copy of the run folder: data, model, bundle."""
    shutil.copytree(built.path.parent, tmp_path / "run")
    return tmp_path / "run"
