"""A small generated world and a recipe that learns it in seconds, for tests of what a model learned."""

from pathlib import Path

from redrec.data.prepare import DataConfig, prepare
from redrec.data.world import World, WorldConfig
from redrec.model.history import HistoryConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.user_tower import UserTowerConfig
from redrec.recipe import Recipe
from redrec.training.batches import BatchConfig
from redrec.training.optimizer import OptimizerConfig

SMALL_WORLD = WorldConfig(
    num_users=700,
    num_items=240,
    num_interests=8,
    interests_per_user=2,
    events_per_user=(16.0, 4.0, 6.0),
    noise_share=0.05,
)
SMALL_RECIPE = Recipe(
    data=DataConfig(scenarios=("homefeed", "search", "ads"), test_share=0.2),
    history=HistoryConfig(max_events_per_scenario=12),
    item_tower=ItemTowerConfig(num_buckets=4096, item_dim=32, embedding_dim=32),
    user_tower=UserTowerConfig(hidden_dim=32, num_heads=2, num_queries=2, dropout=0.0),
    batch=BatchConfig(num_users=64, num_cuts=2, target_window=5, num_uniform_negatives=120, num_popular_negatives=120),
    optimizer=OptimizerConfig(num_steps=150, learning_rate=1e-2),
)


def write_world(folder: Path, **changed: object) -> Path:
    """Write a small world's tables and its data folder, and return the latter."""
    world = World(SMALL_WORLD.model_copy(update=changed))
    prepare(*world.write(folder / "tables"), folder / "data", SMALL_RECIPE.data)
    return folder / "data"
