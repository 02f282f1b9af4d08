"""Model manifest: what evaluation, bundling and serving need to know about a trained model; training writes it last."""

from pathlib import Path

from pydantic import JsonValue, PositiveFloat, PositiveInt

from redrec.config import InputError, Record, load_config
from redrec.folders import DataFolder, ModelFolder
from redrec.hashing import file_hash
from redrec.history import HistoryConfig, Vocabulary
from redrec.model.boosts import BoostWeights


class ModelManifest(Record):
    vocabulary: Vocabulary
    items_hash: str  # of the item table that numbered the items
    history: HistoryConfig
    num_interests: PositiveInt  # of a user and scenario
    logit_scale: PositiveFloat
    boosts: tuple[BoostWeights, ...]  # per scenario
    seed: int
    figures: dict[str, float]  # steps, final losses
    recipe: dict[str, JsonValue]  # all choices of the training run


def read_model(model: Path) -> ModelManifest:
    """Return the manifest of a model folder.

    Raises:
        InputError: Training has not finished, or another version of redrec trained the model.
    """
    path = ModelFolder(model).manifest
    if not path.is_file():
        raise InputError(f"{model} holds no finished model: it has no {path.name}. Train it, or resume training.")
    return load_config(ModelManifest, path)


def check_model_fits(manifest: ModelManifest, model: Path, data: Path, vocabulary: Vocabulary) -> None:
    """Raise InputError if the model and the data folder number items, scenarios or actions differently."""
    if manifest.vocabulary != vocabulary:
        raise InputError(
            f"{model} was trained for {manifest.vocabulary}, and {data} has {vocabulary}. Train on {data}."
        )
    if manifest.items_hash != file_hash(DataFolder(data).items):
        raise InputError(f"{model} was trained on other items than {data} has. Train on {data}.")
