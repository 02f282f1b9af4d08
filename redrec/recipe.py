"""Recipe: every choice of one training run in one frozen object, saved beside what it made."""

from redrec.config import Config
from redrec.data.prepare import DataConfig
from redrec.evaluation.validation import ValidationConfig
from redrec.model.encoders.hashed import HashedConfig
from redrec.model.history import HistoryConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.losses import LossConfig
from redrec.model.transformer import TransformerConfig
from redrec.model.user_tower import UserTowerConfig
from redrec.training.batches import BatchConfig
from redrec.training.distributed import ComputeConfig
from redrec.training.optimizer import OptimizerConfig


class Recipe(Config):
    data: DataConfig = DataConfig()
    history: HistoryConfig = HistoryConfig()
    item_tower: ItemTowerConfig = ItemTowerConfig()
    user_tower: UserTowerConfig = UserTowerConfig()
    batch: BatchConfig = BatchConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()
    compute: ComputeConfig = ComputeConfig()
    seed: int = 0


def complete_journey() -> Recipe:
    """For the grocery demo: each item has a bucket of its own, since many products share one shelf label."""
    return Recipe(
        item_tower=ItemTowerConfig(encoder=HashedConfig(fields=("title", "body", "tags", "category", "item_id"))),
        batch=BatchConfig(target_window=10),
        optimizer=OptimizerConfig(num_steps=500, learning_rate=3e-3, table_learning_rate=6e-2),
    )


def tiny() -> Recipe:
    """A recipe that trains in seconds, for tests of the path rather than of the quality."""
    return Recipe(
        history=HistoryConfig(max_events_per_scenario=8),
        item_tower=ItemTowerConfig(encoder=HashedConfig(num_buckets=1024), item_dim=16, embedding_dim=16),
        user_tower=UserTowerConfig(hidden_dim=16, backbone=TransformerConfig(num_layers=1, num_heads=2)),
        batch=BatchConfig(num_users=16, num_cuts=2, num_uniform_negatives=32, num_popular_negatives=32),
        optimizer=OptimizerConfig(num_steps=20),
    )
