"""Step 2: an exported tower, and the loss."""

from pathlib import Path

from redrec.folders import ModelFolder
from tests.components.conftest import Steps


def test_train_towers_exports_and_logs_its_loss(steps: Steps):
    assert ModelFolder(Path(steps.model.path)).tower.is_file()
    assert steps.metrics["train"].metadata["loss"] > 0
