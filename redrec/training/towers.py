"""Towers: item tower, user tower and the learned logit scale as one trainable module."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from redrec.history import Vocabulary
from redrec.model.item_tower import ItemContent, ItemTower
from redrec.model.losses import is_false_negative, is_near_duplicate, window_loss
from redrec.model.user_tower import Sizes, UserTower
from redrec.training.batches import Batch
from redrec.training.distributed import gathered
from redrec.training.recipe import Recipe

INITIAL_LOG_SCALE = math.log(1 / 0.07)
MAX_LOG_SCALE = math.log(100.0)


class Towers(nn.Module):
    def __init__(self, recipe: Recipe, vocabulary: Vocabulary, content: ItemContent) -> None:
        super().__init__()
        self.recipe = recipe
        num_scenarios = len(vocabulary.scenarios)
        self.items = ItemTower(recipe.item_tower, content)
        sizes = Sizes(
            action=len(vocabulary.actions), scenario=num_scenarios, position=recipe.history.num_positions(num_scenarios)
        )
        self.users = UserTower(recipe.user_tower, self.items.head, sizes)
        self.log_scale = nn.Parameter(torch.tensor([INITIAL_LOG_SCALE]))

    def logit_scale(self) -> Tensor:
        """Return the inverse temperature of the softmax over items."""
        return self.log_scale.clamp(0, MAX_LOG_SCALE).exp()

    def forward(self, batch: Batch, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the window loss summed over a batch's targets, and sums to watch; `inputs` are those of its items."""
        device = self.log_scale.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.compute.precision == "bfloat16"):
            vectors_ME = self.items(**{name: value.to(device) for name, value in inputs.items()})
            embeddings_MD = self.items.embed(vectors_ME)
            events = {name: torch.from_numpy(values).to(device) for name, values in batch.events.items()}
            interests_BCQD = self.users(
                vectors_ME[torch.from_numpy(batch.event_BL).to(device)],
                **events,
                query_scenario_BG=torch.from_numpy(batch.scenario_BC).to(device),
                query_gap_BG=torch.from_numpy(batch.gap_BC).to(device),
                cut_BG=torch.from_numpy(batch.cut_BC).to(device),
                is_queried_BG=torch.from_numpy(batch.is_target_BCW[..., 0]).to(device),
            )
        return self._loss(batch, interests_BCQD.flatten(0, 1).float(), embeddings_MD.float())

    def _loss(self, batch: Batch, interests_XQD: Tensor, embeddings_MD: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum over the scenarios, each with its own negatives; X = B * C groups, of which some have no target."""
        scenario_X, is_target_XW = batch.scenario_BC.ravel(), batch.is_target_BCW.reshape(len(interests_XQD), -1)
        target_XW = batch.target_BCW.reshape(is_target_XW.shape)
        sums: dict[str, Tensor] = {}
        for scenario in range(len(batch.negatives)):
            group_G = np.flatnonzero((scenario_X == scenario) & is_target_XW[:, 0])
            loss, watched = self._scenario_loss(
                batch, scenario, interests_XQD[group_G], target_XW[group_G], is_target_XW[group_G], embeddings_MD
            )
            for name, value in {"loss": loss, **watched}.items():
                sums[name] = sums.get(name, 0) + value
        return sums.pop("loss"), sums

    def _scenario_loss(
        self, batch: Batch, scenario: int, interests_GQD: Tensor, target: Any, is_target: Any, embeddings_MD: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        device, negatives = embeddings_MD.device, batch.negatives[scenario]
        target_GW, is_target_GW = torch.from_numpy(target).to(device), torch.from_numpy(is_target).to(device)
        targets_GWD = embeddings_MD[target_GW]
        negatives_ND = gathered(embeddings_MD[torch.from_numpy(negatives.own_N).to(device)])
        item_N = torch.from_numpy(negatives.item_N).to(device)
        is_false_GN = is_false_negative(target_GW, is_target_GW, item_N, len(embeddings_MD))
        if not negatives.is_full:
            is_false_GN |= is_near_duplicate(targets_GWD, is_target_GW, negatives_ND)
        return window_loss(
            interests_GQD,
            targets_GWD,
            is_target_GW,
            negatives_ND,
            torch.from_numpy(negatives.log_count_N).to(device),
            is_false_GN,
            self.logit_scale(),
            self.recipe.loss.association,
        )
