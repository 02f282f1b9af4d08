"""Recipe: every choice of one training run in one frozen object, saved with the model."""

from typing import Self

from redrec.config import Config
from redrec.data.prepare import DataConfig
from redrec.drift.config import DriftConfig
from redrec.evaluation.cases import EvaluationConfig
from redrec.evaluation.quality_gate import QualityGateConfig
from redrec.evaluation.validation import ValidationConfig
from redrec.history import HistoryConfig
from redrec.index.config import IndexConfig
from redrec.index.ranker import RankerConfig
from redrec.model.boosts import BoostConfig
from redrec.model.config import ItemTowerConfig, LossConfig, UserTowerConfig
from redrec.training.batches import BatchConfig
from redrec.training.config import ComputeConfig, OptimizerConfig


class Recipe(Config):
    data: DataConfig = DataConfig()
    history: HistoryConfig = HistoryConfig()
    item_tower: ItemTowerConfig = ItemTowerConfig()
    user_tower: UserTowerConfig = UserTowerConfig()
    batch: BatchConfig = BatchConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    quality_gate: QualityGateConfig = QualityGateConfig()
    boosts: BoostConfig = BoostConfig()
    ranker: RankerConfig = RankerConfig()
    index: IndexConfig = IndexConfig()
    drift: DriftConfig = DriftConfig()
    compute: ComputeConfig = ComputeConfig()
    seed: int = 0

    def resolved(self, num_users: int, has_cutoff: bool) -> Self:
        """Return the recipe with what it leaves to the log: the number of steps, and of targets of a cut.

        Args:
            num_users: Users with two training events or more.
            has_cutoff: Whether the split is at one time, and does not leave each user's last events out.
        """
        optimizer = self.optimizer.for_users(num_users, self.batch.num_users, has_cutoff)
        return self.model_copy(update={"optimizer": optimizer, "batch": self.batch.for_split(has_cutoff)})
