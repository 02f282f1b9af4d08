"""Recipes: tuned to each data set and protocol on its validation split, with the same choices for every preset.

All presets are supervised at nearly every position of a history: on these short histories that learned more per second
than windows of several targets at a few positions (see the results page).
"""

from pathlib import Path
from typing import Literal, NamedTuple

from redrec.evaluation.validation import ValidationConfig
from redrec.history import HistoryConfig
from redrec.model.boosts import BoostConfig
from redrec.model.encoders.hashed import HashedConfig
from redrec.model.encoders.ids_only import IdsOnlyConfig
from redrec.model.encoders.vectors import VectorsConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.transformer import TransformerConfig
from redrec.model.user_tower import Feature, UserTowerConfig
from redrec.training.batches import BatchConfig
from redrec.training.optimizer import OptimizerConfig
from redrec.training.recipe import Recipe
from tests.benchmarks.quality.datasets import Protocol


class Tuning(NamedTuple):
    num_steps: int
    num_users: int  # per step
    half_life_days: float | None
    metric: str = "ndcg@10"  # on validation; hit_rate@100 is closer to a rank among samples
    width: int = 64  # of items, users and embeddings
    num_layers: int = 1
    query_features: tuple[Literal["gap"], ...] = ()  # gap: the protocol has a cutoff, so a query has a time
    target_window: int = 1  # of presets with queries
    boost_weight: float = 0.5
    table_decay: float = 0.1  # of the rows of words and ids; a large one shrinks rare rows


TUNED: dict[tuple[str, Protocol], Tuning] = {
    ("food-kitchen", "abxi"): Tuning(1000, 128, 365, "hit_rate@100", width=128, num_layers=2, table_decay=10.0),
    ("food-kitchen", "global_time"): Tuning(1000, 128, 365, width=128, table_decay=3.0, query_features=("gap",)),
    ("beauty-sports-toys", "full_loo"): Tuning(4000, 256, None, width=128, table_decay=1.0, boost_weight=0.0),
    ("beauty-sports-toys", "global_time"): Tuning(
        2000, 256, 365, width=128, table_decay=1.0, query_features=("gap",), target_window=3
    ),
}
PRESETS = ("redrec", "single_scenario", "hllm", "sasrec")
NUM_IDS = 2**20  # above every set's catalog
MAX_EVENTS = 50
DROPOUT = 0.4
FEATURES: tuple[Feature, ...] = ("scenario", "gap")  # an event has a day and one kind of action
TABLE_RATES = {"ids": 5e-3, "words": 1e-2}
WEIGHT_DECAY = 0.1
NUM_CUTS = 24  # of presets with queries: more than most histories have positions


def words(protocol: Protocol) -> HashedConfig:
    """Return the shipped encoder; unless the split is global most targets are trained items, so ids are words too."""
    return HashedConfig(fields=("title",) if protocol == "global_time" else ("title", "item_id"))


def minilm(vectors: Path) -> VectorsConfig:
    return VectorsConfig(path=vectors, max_absent_share=1)


def item_tower(encoder: HashedConfig | VectorsConfig | IdsOnlyConfig, width: int) -> ItemTowerConfig:
    """Return the item tower; the word encoder has no id table, since an id may be a word."""
    num_id_buckets = None if encoder.kind == "hashed" else NUM_IDS
    return ItemTowerConfig(encoder=encoder, num_id_buckets=num_id_buckets, item_dim=width, embedding_dim=width)


def recipe(
    preset: str, encoder: HashedConfig | VectorsConfig, tuning: Tuning, has_validation: bool, seed: int
) -> Recipe:
    """Return the recipe of a preset; `sasrec` ignores the encoder and knows an item by its id alone."""
    is_ids_only, is_next_item = preset == "sasrec", preset in ("hllm", "sasrec")
    items = item_tower(IdsOnlyConfig() if is_ids_only else encoder, tuning.width)
    table_rate = TABLE_RATES["ids" if items.num_id_buckets else "words"]
    return Recipe(
        history=HistoryConfig(policy="sorted", max_events=MAX_EVENTS),
        item_tower=items,
        user_tower=UserTowerConfig(
            num_queries=0 if is_next_item else 1,
            hidden_dim=tuning.width,
            query_features=tuning.query_features,
            features=() if is_ids_only else FEATURES,
            dropout=DROPOUT,
            backbone=TransformerConfig(num_layers=tuning.num_layers, num_heads=2, dropout=DROPOUT),
        ),
        batch=BatchConfig(
            num_users=tuning.num_users,
            num_cuts=None if is_next_item else NUM_CUTS,
            queried="next",
            target_window=1 if is_next_item else tuning.target_window,
            half_life_days=tuning.half_life_days,
            num_uniform_negatives=512,
            num_popular_negatives=512,
        ),
        optimizer=OptimizerConfig(
            num_steps=tuning.num_steps,
            table_learning_rate=table_rate,
            weight_decay=WEIGHT_DECAY,
            table_weight_decay=tuning.table_decay,
        ),
        validation=ValidationConfig(
            metric=tuning.metric,
            steps_between=max(1, tuning.num_steps // 6) if has_validation else None,
            max_users=3000,
        ),
        boosts=BoostConfig(popularity=tuning.boost_weight),
        seed=seed,
    )
