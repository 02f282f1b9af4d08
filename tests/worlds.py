"""A small generated world and a recipe that learns it in seconds, for tests of what a model learned."""

from pathlib import Path

from redrec.data.prepare import DataConfig, prepare
from redrec.data.world import World, WorldConfig
from redrec.model.encoders.hashed import HashedConfig
from redrec.model.history import HistoryConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.transformer import TransformerConfig
from redrec.model.user_tower import UserTowerConfig
from redrec.recipe import Recipe
from redrec.training.batches import BatchConfig
from redrec.training.optimizer import OptimizerConfig

SMALL_WORLD = WorldConfig(
    num_users=1000,
    num_items=360,
    num_interests=12,
    interests_per_user=2,
    events_per_user=(16.0, 4.0, 6.0),
    noise_share=0.05,
    popularity_exponent=0.5,
)
SMALL_RECIPE = Recipe(
    data=DataConfig(scenarios=("homefeed", "search", "ads"), test_share=0.2),
    history=HistoryConfig(max_events_per_scenario=12),
    item_tower=ItemTowerConfig(encoder=HashedConfig(num_buckets=4096), item_dim=48, embedding_dim=48),
    user_tower=UserTowerConfig(num_queries=2, dropout=0, backbone=TransformerConfig(dropout=0)),
    batch=BatchConfig(num_users=64, num_cuts=4, target_window=5, num_uniform_negatives=120, num_popular_negatives=120),
    optimizer=OptimizerConfig(num_steps=200),
)


def write_world(folder: Path, **changed: object) -> Path:
    """Write a small world's tables and its data folder, and return the latter."""
    world = World(SMALL_WORLD.model_copy(update=changed))
    prepare(*world.write(folder / "tables"), folder / "data", SMALL_RECIPE.data)
    return folder / "data"
