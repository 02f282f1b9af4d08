"""Recipes: what each preset was tuned to on each data set. Where two presets share a choice it stands once.

All of them are supervised alike: the next item at nearly every place of a history, which on these short histories
learned more per second than windows of several targets at a few places (see the results page).
"""

from pathlib import Path

from redrec.evaluation.validation import ValidationConfig
from redrec.model.encoders.ids_only import IdsOnlyConfig
from redrec.model.encoders.vectors import VectorsConfig
from redrec.model.history import HistoryConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.transformer import TransformerConfig
from redrec.model.user_tower import UserTowerConfig
from redrec.recipe import Recipe
from redrec.training.batches import BatchConfig
from redrec.training.optimizer import OptimizerConfig

PRESETS = ("redrec", "single_scenario", "hllm", "sasrec")
NUM_IDS = 2**20  # above every set's catalog
MAX_EVENTS = 50
DROPOUT = 0.4
NEXT_ITEM = BatchConfig(
    num_cuts=None, asked="next", target_window=1, num_uniform_negatives=256, num_popular_negatives=256
)
NUM_CUTS = 24  # of the presets with queries: more places than most histories have


def recipe(preset: str, vectors: Path, num_steps: int, seed: int) -> Recipe:
    """Return the recipe of a preset; all of them know ids, `sasrec` nothing else of an item."""
    encoder = IdsOnlyConfig() if preset == "sasrec" else VectorsConfig(path=vectors, max_absent_share=1)
    features = ("position",) if preset == "sasrec" else UserTowerConfig().features
    is_next_item = preset in ("hllm", "sasrec")
    return Recipe(
        history=HistoryConfig(policy="sorted", max_events=MAX_EVENTS),
        item_tower=ItemTowerConfig(encoder=encoder, num_id_buckets=NUM_IDS),
        user_tower=UserTowerConfig(
            num_queries=0 if is_next_item else 1,
            features=features,
            dropout=DROPOUT,
            backbone=TransformerConfig(num_heads=2, dropout=DROPOUT),
        ),
        batch=NEXT_ITEM if is_next_item else NEXT_ITEM.model_copy(update={"num_cuts": NUM_CUTS}),
        optimizer=OptimizerConfig(num_steps=num_steps, table_learning_rate=5e-3),
        validation=ValidationConfig(steps_between=max(1, num_steps // 6), patience=3, max_users=3000),
        seed=seed,
    )
