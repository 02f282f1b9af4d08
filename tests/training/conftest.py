"""One small world, and a model that was trained on it for a few steps, in which every weight has moved."""

from pathlib import Path

import pytest

from redrec.training.config import OptimizerConfig
from redrec.training.trainer import train
from tests.worlds import SMALL_RECIPE, write_world


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="package")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    train(data, out, SMALL_RECIPE.model_copy(update={"optimizer": OptimizerConfig(num_steps=20)}))
    return out
