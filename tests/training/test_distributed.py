"""Several processes learn what one learns: torchrun starts them, over gloo, on the generated world."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from redrec.data.histories import Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.prepare import prepare
from redrec.data.split import read_vocabulary
from redrec.datasets.world import World
from redrec.evaluation.validation import ValidationConfig
from redrec.index.ranker import Ranker
from redrec.model.config import TransformerConfig, UserTowerConfig
from redrec.model.manifest import read_model
from redrec.training.batches import Batch, Batches, Shard
from redrec.training.config import ComputeConfig, OptimizerConfig
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from tests.worlds import SMALL_RECIPE, SMALL_WORLD

NUM_STEPS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    config = SMALL_RECIPE.data.model_copy(update={"has_validation": True})
    prepare(*World(SMALL_WORLD).write(folder / "tables"), folder / "data", config)
    return folder / "data"


def recipe(sharding: str) -> Recipe:
    """Without dropout, whose noise is each process's own; it validates, fits boosts and refreshes."""
    no_dropout = UserTowerConfig(
        hidden_dim=16, dropout=0, backbone=TransformerConfig(num_layers=1, num_heads=2, dropout=0)
    )
    changes = {"user_tower": no_dropout, "compute": ComputeConfig(sharding=sharding)}
    changes |= {"validation": ValidationConfig(steps_between=NUM_STEPS // 2)}
    return tiny().model_copy(update={**changes, "optimizer": OptimizerConfig(num_steps=NUM_STEPS, refresh_share=0.5)})


def torchrun(data: Path, out: Path, recipe: Recipe, num_processes: int) -> None:
    out.mkdir()
    (out / "given.json").write_text(recipe.model_dump_json())
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_processes)]
    words += ["-m", "redrec.training", "--data", str(data), "--out", str(out), "--recipe", str(out / "given.json")]
    result = subprocess.run(
        [sys.executable, *words], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "model"
    torchrun(data, out, recipe("replicated"), num_processes=1)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["replicated", "sharded"])
def test_two_processes_learn_what_one_learns(data, alone, tmp_path, sharding):
    torchrun(data, tmp_path / "two", recipe(sharding), num_processes=2)
    one, two = (load_file(out / "checkpoint/model.safetensors") for out in (alone, tmp_path / "two"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=2e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")
    first, second = (read_model(out) for out in (alone, tmp_path / "two"))
    assert second.figures["loss"] == pytest.approx(first.figures["loss"], rel=1e-5)
    for weights, expected in zip(second.boosts, first.boosts, strict=True):
        assert weights.popularity == pytest.approx(expected.popularity, rel=0.05, abs=0.05)
    assert any(weights.popularity for weights in first.boosts)
    assert Ranker.load(tmp_path / "two/ranker.npz", second.logit_scale).num_contenders
    assert (tmp_path / "two" / "export" / "user_tower.onnx").exists()


def real_events(batch: Batch) -> np.ndarray:
    return batch.items_M[batch.event_BL[batch.events.is_event_BL]]


def real_targets(batch: Batch) -> np.ndarray:
    return batch.items_M[batch.target_BCW[batch.is_target_BCW]]


def test_the_shards_of_a_step_are_the_step(data):
    """Rows, targets and negatives of two processes, one after the other, are those of one."""
    vocabulary, histories = read_vocabulary(data), Histories(data)
    counts_SN = train_counts(histories, SMALL_WORLD.num_items, 3)
    allowed_SN = is_allowed(data / "items.parquet", vocabulary.scenarios)
    config = tiny().batch.model_copy(update={"num_uniform_negatives": 33, "num_users": 15})  # neither splits evenly
    prior_SN, shown_S = np.zeros(counts_SN.shape), [False] * 3
    batches = Batches(histories, counts_SN, allowed_SN, prior_SN, shown_S, config, tiny().history, 0, seed=0)
    whole, *shards = (batches.draw(7, Shard(*shard)) for shard in ((0, 1), (0, 2), (1, 2)))
    for real_of in (real_events, real_targets):  # a shard is padded to its own longest rows
        assert np.array_equal(np.concatenate([real_of(shard) for shard in shards]), real_of(whole))
    for scenario, negatives in enumerate(whole.negatives):
        own = np.concatenate([shard.items_M[shard.negatives[scenario].own_N] for shard in shards])
        offset_N = shards[0].negatives[scenario].offset_N
        is_real = np.isfinite(offset_N)
        assert np.array_equal(own[is_real], whole.items_M[negatives.own_N])
        assert np.array_equal(offset_N[is_real], negatives.offset_N)
        assert (~is_real).sum() == 1
