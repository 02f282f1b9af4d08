"""Recipes: what each preset was tuned to on each data set. Where two presets share a choice it stands once.

All of them are supervised alike: the next item at nearly every place of a history, which on these short histories
learned more per second than windows of several targets at a few places (see the results page).
"""

from pathlib import Path

from redrec.evaluation.validation import ValidationConfig
from redrec.model.encoders.hashed import HashedConfig
from redrec.model.encoders.ids_only import IdsOnlyConfig
from redrec.model.encoders.vectors import VectorsConfig
from redrec.model.history import HistoryConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.transformer import TransformerConfig
from redrec.model.user_tower import UserTowerConfig
from redrec.recipe import Recipe
from redrec.training.batches import BatchConfig
from redrec.training.optimizer import OptimizerConfig
from tests.benchmarks.quality.datasets import Protocol

PRESETS = ("redrec", "single_scenario", "hllm", "sasrec")
NUM_IDS = 2**20  # above every set's catalog
MAX_EVENTS = 50
DROPOUT = 0.4
NEXT_ITEM = BatchConfig(
    num_cuts=None, asked="next", target_window=1, num_uniform_negatives=256, num_popular_negatives=256
)
TABLE_RATES = {"ids": 5e-3, "words": 2e-2}
NUM_CUTS = 24  # of the presets with queries: more places than most histories have


def words(protocol: Protocol) -> HashedConfig:
    """Return the shipped encoder; where most targets have been seen in training, an item is also a word of its own."""
    return HashedConfig(fields=("title",) if protocol == "global_time" else ("title", "item_id"))


def minilm(vectors: Path) -> VectorsConfig:
    return VectorsConfig(path=vectors, max_absent_share=1)


def with_ids(encoder: HashedConfig | VectorsConfig) -> ItemTowerConfig:
    """Return the item tower; words have no ids beside them, since an item may be one of them."""
    return ItemTowerConfig(encoder=encoder, num_id_buckets=NUM_IDS if encoder.kind == "vectors" else None)


def recipe(preset: str, encoder: HashedConfig | VectorsConfig, num_steps: int, seed: int) -> Recipe:
    """Return the recipe of a preset; `sasrec` knows an item by its id alone, whatever the encoder."""
    is_ids_only = preset == "sasrec"
    features = ("position",) if is_ids_only else UserTowerConfig().features
    items = ItemTowerConfig(encoder=IdsOnlyConfig(), num_id_buckets=NUM_IDS) if is_ids_only else with_ids(encoder)
    table_rate = TABLE_RATES["ids" if is_ids_only or encoder.kind == "vectors" else "words"]
    is_next_item = preset in ("hllm", "sasrec")
    return Recipe(
        history=HistoryConfig(policy="sorted", max_events=MAX_EVENTS),
        item_tower=items,
        user_tower=UserTowerConfig(
            num_queries=0 if is_next_item else 1,
            features=features,
            dropout=DROPOUT,
            backbone=TransformerConfig(num_heads=2, dropout=DROPOUT),
        ),
        batch=NEXT_ITEM if is_next_item else NEXT_ITEM.model_copy(update={"num_cuts": NUM_CUTS}),
        optimizer=OptimizerConfig(num_steps=num_steps, table_learning_rate=table_rate),
        validation=ValidationConfig(steps_between=max(1, num_steps // 6), patience=3, max_users=3000),
        seed=seed,
    )
