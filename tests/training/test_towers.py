"""Towers: the loss of a step is about the step's targets, each of them (the public release's is about none)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from redrec.data.split import read_vocabulary
from redrec.model.config import ItemTowerConfig, LossConfig
from redrec.model.encoders.config import IdsOnlyConfig
from redrec.model.item_tower import write_item_content
from redrec.training.batches import Batch, BatchConfig, Shard
from redrec.training.negatives import Negatives
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from redrec.training.tensors import on_device
from redrec.training.towers import Towers, seen_by
from tests.training.test_batches import make
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


def step_of(data: Path, config: BatchConfig, max_full_catalog: int = 0, excludes_seen: bool = False) -> Batch:
    batches = make(data, config, RECIPE.history, max_full_catalog, excludes_seen=excludes_seen)
    return batches.draw(0, Shard())


@pytest.fixture(scope="module")
def batch(data) -> Batch:
    return step_of(data, RECIPE.batch)


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


def test_the_events_before_a_cut_are_those_that_its_user_has_seen(data):
    batch = step_of(data, BatchConfig(num_users=4, num_cuts=5))
    group_G = np.flatnonzero(batch.is_target_BCW[..., 0])
    item_GL, is_seen_GL = seen_by(on_device(batch, torch.device("cpu")), torch.tensor(group_G))
    assert len(group_G) > 10
    for group, item_L, is_seen_L in zip(group_G, item_GL.numpy(), is_seen_GL.numpy(), strict=True):
        user, cut = divmod(group, batch.cut_BC.shape[1])
        assert is_seen_L.sum() == batch.cut_BC[user, cut] > 0
        assert np.array_equal(item_L[is_seen_L], batch.event_BL[user, : batch.cut_BC[user, cut]])


def test_seen_items_are_no_negatives_where_lists_leave_them_out(data, tmp_path):
    """The loss is then that of a step whose negatives are drawn without them."""
    one_cut = BatchConfig(num_users=1, num_cuts=1)
    shown, left_out = (step_of(data, one_cut, SMALL_WORLD.num_items, is_out) for is_out in (False, True))
    seen = np.unique(shown.event_BL[0, : shown.cut_BC[0, 0]])
    negatives = tuple(_without(of_scenario, seen) for of_scenario in shown.negatives)
    expected, masked, plain = (
        loss_and_towers(data, tmp_path, step)[0].item()
        for step in (shown._replace(negatives=negatives), left_out, shown)
    )
    assert masked == pytest.approx(expected, rel=1e-6)
    assert plain > masked + 1e-3


def _without(negatives: Negatives[np.ndarray], items: np.ndarray) -> Negatives[np.ndarray]:
    is_kept_N = ~np.isin(negatives.own_N, items)
    own_N, offset_N, item_N = (values[is_kept_N] for values in negatives[:3])
    return negatives._replace(own_N=own_N, offset_N=offset_N, item_N=item_N)
