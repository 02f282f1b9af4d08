"""Bundle manifest: the id follows the content."""

import json
import shutil
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from tests.bundle.runs import build, other_model


def test_same_content_has_the_same_id(run: Path, built: Bundle):
    assert build(run).manifest.id == built.manifest.id


@pytest.mark.parametrize("changed", ["tower", "embeddings", "history", "popularity_boost_weight"])
def test_other_content_has_another_id(run: Path, built: Bundle, changed: str):
    if changed in ("history", "popularity_boost_weight"):
        manifest = json.loads((run / "model/model.json").read_text())
        change = {"history": {"max_events_per_scenario": 9}, "popularity_boost_weight": 0.1}[changed]
        (run / "model/model.json").write_text(json.dumps(manifest | {changed: change}))
    else:
        other_model(run)
        name = {"tower": "user_tower.onnx", "embeddings": "item_embeddings.npy"}[changed]
        shutil.copyfile(run / "other/model/export" / name, run / "model/export" / name)
    assert build(run).manifest.id != built.manifest.id
