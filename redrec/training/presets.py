"""Presets: named recipes for the same trainer, including the baselines that a model has to beat.

`redrec` is `Recipe()`: RED-Rec without what was worth nothing as served; `paper` has that too. Trained on the events of
one scenario alone, `redrec` is the single-scenario baseline. `hllm` and `sasrec` have no queries: they predict the next
item of any scenario from the newest event's hidden state.
`popularity` and `mean_of_last_n` learn nothing and are in every evaluation (`redrec.evaluation.baselines`).
"""

from collections.abc import Callable

from redrec.history import HistoryConfig
from redrec.model.config import ItemTowerConfig, TransformerConfig, UserTowerConfig
from redrec.model.encoders.config import HashedConfig, IdsOnlyConfig
from redrec.training.batches import BatchConfig
from redrec.training.config import OptimizerConfig
from redrec.training.recipe import Recipe

MAX_IDS = 2**22  # items of a larger catalog share rows; the table has 1 GiB at 64 dimensions
NEXT_ITEM = BatchConfig(num_users=128, num_cuts=None, target_window=1)
IN_TIME = HistoryConfig(policy="sorted", max_events=50)


def redrec() -> Recipe:
    return Recipe()


def paper() -> Recipe:
    """The mixing, the interests and the window of RED-Rec (arXiv:2510.14788); each is left out in the ablations."""
    return Recipe(
        history=HistoryConfig(policy="quota_2d"),
        user_tower=UserTowerConfig(num_queries=3),
        batch=BatchConfig(target_window=10),
    )


def hllm() -> Recipe:
    """Item content through the item tower, the next item at every position (HLLM, arXiv:2409.12740)."""
    return Recipe(history=IN_TIME, user_tower=UserTowerConfig(num_queries=0), batch=NEXT_ITEM)


def sasrec() -> Recipe:
    """Item ids and their order alone, the next item at every position (SASRec, arXiv:1808.09781)."""
    return Recipe(
        history=IN_TIME,
        item_tower=ItemTowerConfig(encoder=IdsOnlyConfig(), num_id_buckets=MAX_IDS),
        user_tower=UserTowerConfig(num_queries=0, features=()),
        batch=NEXT_ITEM,
    )


def tiny() -> Recipe:
    """A recipe that trains in seconds, for tests that need a model but not its quality."""
    return Recipe(
        history=HistoryConfig(policy="quota_2d", max_events_per_scenario=8),
        item_tower=ItemTowerConfig(encoder=HashedConfig(num_buckets=1024), item_dim=16, embedding_dim=16),
        user_tower=UserTowerConfig(num_queries=3, hidden_dim=16, backbone=TransformerConfig(num_layers=1, num_heads=2)),
        batch=BatchConfig(num_users=16, num_cuts=2, num_uniform_negatives=32, num_popular_negatives=32),
        optimizer=OptimizerConfig(num_steps=20),
    )


PRESETS: dict[str, Callable[[], Recipe]] = {preset.__name__: preset for preset in (redrec, paper, hllm, sasrec, tiny)}
