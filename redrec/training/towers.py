"""Towers: item tower, user tower and the learned logit scale as one trainable module."""

import math

import torch
from torch import Tensor, nn

from redrec.model.history import Vocabulary
from redrec.model.item_tower import ItemTokens, ItemTower
from redrec.model.losses import window_loss
from redrec.model.user_tower import UserTower
from redrec.recipe import Recipe
from redrec.training.batches import Batch

INITIAL_LOG_SCALE = math.log(1 / 0.07)
MAX_LOG_SCALE = math.log(100.0)


class Towers(nn.Module):
    def __init__(self, recipe: Recipe, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.items = ItemTower(recipe.item_tower)
        self.users = UserTower(
            recipe.user_tower,
            self.items.head,
            len(vocabulary.scenarios),
            len(vocabulary.actions),
            recipe.history.max_events_per_scenario,
        )
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))

    def loss(self, batch: Batch, tokens: ItemTokens) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the window loss of one batch and what to watch."""
        vectors_ME = self.items(*tokens.of(batch.items_M))
        embeddings_MD = self.items.embed(vectors_ME)
        events = {name: torch.from_numpy(values) for name, values in batch.events.items()}
        interests_BCQD = self.users(
            vectors_ME[torch.from_numpy(batch.event_BL)],
            **events,
            query_scenario_BG=torch.from_numpy(batch.scenario_BC),
            cut_BG=torch.from_numpy(batch.cut_BC),
        )
        target_GW = torch.from_numpy(batch.target_BCW).flatten(0, 1)
        is_target_GW = torch.from_numpy(batch.is_target_BCW).flatten(0, 1)
        negative_N = torch.from_numpy(batch.negative_N)
        return window_loss(
            interests_BCQD.flatten(0, 1),
            embeddings_MD[target_GW],
            is_target_GW,
            embeddings_MD[negative_N],
            torch.from_numpy(batch.log_count_N),
            self.log_scale.clamp(0, MAX_LOG_SCALE).exp(),
        )
