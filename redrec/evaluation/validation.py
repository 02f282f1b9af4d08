"""Validation: how good towers are while they train, for early stopping.

Full-catalogue NDCG@10 on validation targets, the mean over scenarios: a sparse one counts as much as a busy one.
"""

from pathlib import Path

from pydantic import PositiveInt

from redrec.config import Config
from redrec.model.history import Vocabulary


class ValidationConfig(Config):
    steps_between: PositiveInt | None = None  # absent: no validation, all steps are trained
    patience: PositiveInt = 5  # validations without a new best before training stops
    max_users: PositiveInt = 2000  # of a scenario


class Validation:
    def __init__(self, data: Path, vocabulary: Vocabulary, config: ValidationConfig, seed: int) -> None:
        raise NotImplementedError
