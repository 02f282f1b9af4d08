"""Recipes: what is trained for a result row. Every preset is the product's own, and nothing is chosen for a data set.

`single_scenario` is `redrec`, trained on one scenario's events alone, with boosts and a ranker of its own, and shown no others.
"""

from collections.abc import Sequence
from pathlib import Path

from redrec.config import changed
from redrec.model.encoders.config import VectorsConfig
from redrec.training.presets import PRESETS as OF_THE_PRODUCT
from redrec.training.recipe import Recipe
from tests.benchmarks.quality.datasets import Measured, Protocol, trains_on_validation

SINGLE = "single_scenario"
PRESETS = ("redrec", SINGLE, "hllm", "sasrec")
NUM_IDS = 2**20  # above every set's catalog


def recipe(preset: str, protocol: Protocol, measured: Measured, changes: Sequence[str]) -> Recipe:
    """Return the recipe of a preset, with the changes of a command."""
    refresh = [] if trains_on_validation(protocol, measured) else ["optimizer.refresh_share=0"]
    return changed(OF_THE_PRODUCT.get(preset, Recipe)(), [*refresh, *changes])


def with_minilm(config: Recipe, vectors: Path) -> Recipe:
    """Return the recipe with items known by MiniLM vectors of their titles and by their ids."""
    encoder = VectorsConfig(path=vectors, max_absent_share=1)
    item_tower = config.item_tower.model_copy(update={"encoder": encoder, "num_id_buckets": NUM_IDS})
    return config.model_copy(update={"item_tower": item_tower})
