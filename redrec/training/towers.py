"""Towers: item tower, user tower and the learned logit scale as one trainable module."""

import math

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from redrec.history import Vocabulary
from redrec.model.item_tower import ItemContent, ItemTower
from redrec.model.losses import is_near_duplicate, is_of_group, window_loss
from redrec.model.user_tower import QueryGroups, Sizes, UserTower
from redrec.training.batches import Batch
from redrec.training.distributed import gathered
from redrec.training.negatives import Negatives
from redrec.training.recipe import Recipe
from redrec.training.tensors import on_device

INITIAL_LOG_SCALE = math.log(1 / 0.07)
MAX_LOG_SCALE = math.log(100.0)


class Towers(nn.Module):
    def __init__(self, recipe: Recipe, vocabulary: Vocabulary, content: ItemContent) -> None:
        super().__init__()
        self.recipe = recipe
        self.items = ItemTower(recipe.item_tower, content)
        sizes = Sizes(action=len(vocabulary.actions), scenario=len(vocabulary.scenarios))
        self.users = UserTower(recipe.user_tower, self.items.head, sizes, recipe.history)
        self.log_scale = nn.Parameter(torch.tensor([INITIAL_LOG_SCALE]))

    def logit_scale(self) -> Tensor:
        """Return the inverse temperature of the softmax over items."""
        return self.log_scale.clamp(0, MAX_LOG_SCALE).exp()

    def forward(self, batch: Batch[NDArray], inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss summed over a batch's targets, and sums to watch; `inputs` describe the batch's items."""
        device = self.log_scale.device
        tensors: Batch[Tensor] = on_device(batch, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.compute.precision == "bfloat16"):
            vectors_ME = self.items(**{name: value.to(device) for name, value in inputs.items()})
            embeddings_MD = self.items.embed(vectors_ME)
            queries = QueryGroups(tensors.scenario_BC, tensors.gap_BC, tensors.cut_BC, tensors.is_target_BCW[..., 0])
            interests_BCQD = self.users(vectors_ME[tensors.event_BL], tensors.events, queries)
        return self._loss(tensors, interests_BCQD.flatten(0, 1).float(), embeddings_MD.float())

    def _loss(
        self, batch: Batch[Tensor], interests_XQD: Tensor, embeddings_MD: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum over the scenarios, each with its own negatives; X = B * C groups, some without a target."""
        sums: dict[str, Tensor] = {}
        for group_G, negatives in zip(batch.groups, batch.negatives, strict=True):
            loss, watched = self._scenario_loss(batch, group_G, negatives, interests_XQD[group_G], embeddings_MD)
            for name, value in {"loss": loss, **watched}.items():
                sums[name] = sums.get(name, 0) + value
        return sums.pop("loss"), sums

    def _scenario_loss(
        self,
        batch: Batch[Tensor],
        group_G: Tensor,
        negatives: Negatives[Tensor],
        interests_GQD: Tensor,
        embeddings_MD: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        per_cut = batch.target_BCW, batch.is_target_BCW, batch.prior_BCW
        target_GW, is_target_GW, prior_GW = (values.flatten(0, 1)[group_G] for values in per_cut)
        targets_GWD = embeddings_MD[target_GW]
        negatives_ND = gathered(embeddings_MD[negatives.own_N])
        is_false_GN = is_of_group(target_GW, is_target_GW, negatives.item_N, len(embeddings_MD))
        if negatives.excludes_seen:
            is_false_GN |= is_of_group(*seen_by(batch, group_G), negatives.item_N, len(embeddings_MD))
        if not negatives.is_full:
            is_false_GN |= is_near_duplicate(targets_GWD, is_target_GW, negatives_ND)
        return window_loss(
            interests_GQD,
            targets_GWD,
            is_target_GW,
            prior_GW,
            negatives_ND,
            negatives.offset_N,
            is_false_GN,
            self.logit_scale(),
            self.recipe.loss,
        )


def seen_by(batch: Batch[Tensor], group_G: Tensor) -> tuple[Tensor, Tensor]:
    """Return the items of the events of each group's user, `item_GL`, and whether the group's cut comes after them."""
    user_G, cut_G = group_G // batch.cut_BC.shape[1], batch.cut_BC.flatten()[group_G]
    position_L = torch.arange(batch.event_BL.shape[1], device=cut_G.device)
    return batch.event_BL[user_G], batch.events.is_event_BL[user_G] & (position_L < cut_G[:, None])
