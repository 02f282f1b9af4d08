"""Recipes: what each preset was tuned to on each data set. Where two presets share a choice it stands once.

The same effort for every row: the shared choices were found on `redrec` and `sasrec` alike (see the results page), then
each preset's learning rates and dropout were tried in the same few steps on validation users of seed 0.
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
NEXT_ITEM = {"num_cuts": None, "asked": "next", "target_window": 1}


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
        batch=BatchConfig(**(NEXT_ITEM if is_next_item else {"num_cuts": 8, "target_window": 3})),
        optimizer=OptimizerConfig(num_steps=num_steps, table_learning_rate=5e-3),
        validation=ValidationConfig(steps_between=max(1, num_steps // 10), patience=4),
        seed=seed,
    )
