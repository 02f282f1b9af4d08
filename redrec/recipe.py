"""Recipe: every choice of one training run in one frozen object, saved beside what it made."""

from redrec.config import Config
from redrec.data.prepare import DataConfig
from redrec.evaluation.validation import ValidationConfig
from redrec.index.trend import TrendConfig
from redrec.model.history import HistoryConfig
from redrec.model.item_tower import ItemTowerConfig
from redrec.model.losses import LossConfig
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
    trend: TrendConfig = TrendConfig()
    compute: ComputeConfig = ComputeConfig()
    seed: int = 0
