"""A run folder built again, and another model for it."""

import shutil
from pathlib import Path

from redrec.bundle.builder import build_bundle
from redrec.bundle.reader import Bundle
from tests.bundles import write_tiny_model


def other_model(run: Path) -> None:
    """Write another model of the same data into `other/model`."""
    shutil.copytree(run / "data", run / "other" / "data")
    write_tiny_model(run / "other", 3, seed=1)


def build(run: Path, **options) -> Bundle:
    return build_bundle(
        run / "data", run / "model", run / "bundle", **{"metrics": None, "feature_hash": "0" * 16} | options
    )
