"""Recipe: every choice of one training run in one frozen object, saved with the model."""

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
