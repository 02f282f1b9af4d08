"""Towers: the loss of a step is about the step's targets, each of them (the public release's is about none)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from redrec.data.histories import Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.model.config import ItemTowerConfig, LossConfig
from redrec.model.encoders.config import IdsOnlyConfig
from redrec.model.item_tower import write_item_content
from redrec.training.batches import Batch, BatchConfig, Batches, Shard
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from redrec.training.towers import Towers
from tests.worlds import SMALL_WORLD, write_world

RECIPE = tiny().model_copy(
    update={
        "item_tower": ItemTowerConfig(encoder=IdsOnlyConfig(), num_id_buckets=SMALL_WORLD.num_items),
        "batch": BatchConfig(num_users=6, num_cuts=1, num_uniform_negatives=2, num_popular_negatives=2),
    }
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def batch(data) -> Batch:
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    counts_SN = train_counts(histories, SMALL_WORLD.num_items, len(scenarios))
    allowed_SN = is_allowed(data / "items.parquet", scenarios)
    prior_SN = np.zeros(counts_SN.shape, np.float32)
    return Batches(histories, counts_SN, allowed_SN, prior_SN, RECIPE.batch, RECIPE.history, 0, seed=0).draw(0, Shard())


def loss_and_towers(data: Path, folder: Path, batch: Batch, recipe: Recipe = RECIPE) -> tuple[torch.Tensor, Towers]:
    content = write_item_content(data / "items.parquet", folder, recipe.item_tower)
    torch.manual_seed(0)
    towers = Towers(recipe, read_vocabulary(data), content).eval()
    return towers(batch, content.of(batch.items_M))[0], towers


def with_fresh_targets(batch: Batch) -> tuple[Batch, np.ndarray]:
    """Return the step with targets that are neither events nor negatives, and these items."""
    fresh = np.setdiff1d(np.arange(SMALL_WORLD.num_items), batch.items_M)
    index_BCW = np.arange(batch.target_BCW.size).reshape(batch.target_BCW.shape) % len(fresh)
    items_M = np.concatenate([batch.items_M, fresh])
    changed = batch._replace(items_M=items_M, target_BCW=len(batch.items_M) + index_BCW)
    return changed, np.unique(fresh[index_BCW[batch.is_target_BCW]])


def test_gradient_reaches_every_target_of_a_step(data, batch, tmp_path):
    changed, targets = with_fresh_targets(batch)
    loss, towers = loss_and_towers(data, tmp_path, changed)
    loss.backward()
    assert len(targets) > 10
    assert (towers.items.ids.weight.grad[targets].norm(dim=1) > 1e-6).all()


def test_the_association_of_the_recipe_reaches_the_loss(data, batch, tmp_path):
    """Its value stays; the interests that are not matched to a target learn as well."""
    losses, gradients = [], []
    for association in ("matched", "straight_through"):
        recipe = RECIPE.model_copy(update={"loss": LossConfig(association=association)})
        loss, towers = loss_and_towers(data, tmp_path, batch, recipe)
        loss.backward()
        losses.append(loss.item())
        gradients.append(towers.users.queries.learned_SQH.grad)
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert not torch.allclose(gradients[1], gradients[0], rtol=0.01)


def test_replacing_the_targets_of_a_step_changes_its_loss(data, batch, tmp_path):
    """With histories, queries and negatives as they were."""
    one, two = (loss_and_towers(data, tmp_path, b)[0] for b in (batch, with_fresh_targets(batch)[0]))
    assert abs((one - two).item()) > 1e-2
