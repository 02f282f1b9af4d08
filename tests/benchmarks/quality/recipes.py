"""Recipes: what is trained for a result row. Every preset is the product's own, and nothing is chosen for a data set.

`tuned` is the exception: `redrec` with the choices that were the best on a set's validation split (`--measured
validation`), to see what the default leaves. `single_scenario` is `redrec`, trained on one scenario's events alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from redrec.config import Config, InputError
from redrec.model.encoders.vectors import VectorsConfig
from redrec.training.presets import PRESETS as OF_THE_PRODUCT
from redrec.training.recipe import Recipe
from tests.benchmarks.quality.datasets import Measured, Protocol, plain, trains_on_validation

ConfigT = TypeVar("ConfigT", bound=Config)
SINGLE = "single_scenario"
PRESETS = ("redrec", "tuned", SINGLE, "hllm", "sasrec")
NUM_IDS = 2**20  # above every set's catalog
TUNED: dict[tuple[str, Protocol], tuple[str, ...]] = {}


def recipe(preset: str, name: str, protocol: Protocol, measured: Measured, changes: Sequence[str]) -> Recipe:
    """Return the recipe of a preset, with the changes of a command.

    Raises:
        InputError: Nothing was tuned for the set and protocol.
    """
    chosen: tuple[str, ...] = ()
    if preset == "tuned":
        chosen = TUNED.get((name, plain(protocol)), ())
        if not chosen:
            raise InputError(f"Nothing was tuned for {name} and {protocol}; for {', '.join(map('/'.join, TUNED))}.")
    if not trains_on_validation(protocol, measured):
        chosen += ("optimizer.refresh_share=0",)
    config = OF_THE_PRODUCT.get(preset, OF_THE_PRODUCT["redrec"])()
    return changed(config, [*chosen, *changes])


def with_minilm(config: Recipe, vectors: Path) -> Recipe:
    """Return the recipe with items known by MiniLM vectors of their titles and by their ids."""
    encoder = VectorsConfig(path=vectors, max_absent_share=1)
    item_tower = config.item_tower.model_copy(update={"encoder": encoder, "num_id_buckets": NUM_IDS})
    return config.model_copy(update={"item_tower": item_tower})


def changed(config: ConfigT, changes: Sequence[str]) -> ConfigT:
    """Return the recipe or the rival with fields set, each change being `path.of.field=JSON`."""
    content = config.model_dump(mode="json")
    for change in changes:
        path, value = change.split("=", 1)
        *parents, field = path.split(".")
        fields = content
        for parent in parents:
            fields = fields[parent]
        fields[field] = json.loads(value)
    return type(config).model_validate(content)
