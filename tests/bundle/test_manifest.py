"""Bundle manifest: the id follows the content."""

import json
import shutil
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.index.config import IndexConfig
from redrec.model.boosts import OWN_COUNTS, BoostWeights
from tests.bundle.runs import build, other_model
from tests.bundles import SCENARIOS, random_ranker

BOOSTED = BoostWeights(popularity=0.1, own=(0.0,) * len(OWN_COUNTS)).model_dump()
CHANGES = {"history": {"max_events_per_scenario": 9}, "boosts": [BOOSTED] * len(SCENARIOS), "logit_scale": 2.0}


def test_same_content_has_the_same_id(run: Path, built: Bundle):
    assert build(run).manifest.id == built.manifest.id


@pytest.mark.parametrize("changed", ["tower", "embeddings", "ranker", "history", "boosts", "logit_scale"])
def test_other_content_has_another_id(run: Path, built: Bundle, changed: str):
    if changed in CHANGES:
        manifest = json.loads((run / "model/model.json").read_text())
        (run / "model/model.json").write_text(json.dumps(manifest | {changed: CHANGES[changed]}))
    elif changed == "ranker":
        random_ranker(48, len(SCENARIOS), num_contenders=9).save(run / "model/ranker.npz")
    else:
        other_model(run)
        name = {"tower": "user_tower.onnx", "embeddings": "item_embeddings.npy"}[changed]
        shutil.copyfile(run / "other/model/export" / name, run / "model/export" / name)
    assert build(run).manifest.id != built.manifest.id


def test_interests_that_are_merged_another_way_make_another_id(run: Path, built: Bundle):
    assert build(run, index=IndexConfig(policy="quota")).manifest.id != built.manifest.id
