"""Validation: a score of the towers during training, for early stopping.

The towers are scored with the popularity that they do not learn (`redrec.evaluation.popularity_share`), and without
what a user has had where that was no negative.

A full-catalog metric on validation targets, the mean over scenarios: a sparse one counts as much as a busy one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from redrec.config import Config, InputError
from redrec.data.histories import VALIDATION, Histories
from redrec.data.items import is_allowed
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.metrics import METRIC_PATTERN, user_metrics
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, with_boosts
from redrec.folders import DataFolder
from redrec.history import Vocabulary
from redrec.model.boosts import BoostConfig, configured


class ValidationConfig(Config):
    metric: str = Field(default="ndcg@10", pattern=METRIC_PATTERN)
    steps_between: PositiveInt | None = None  # and after the last step; absent: no validation, all steps are trained
    patience: PositiveInt = 5  # validations without a new best before training stops
    max_users: PositiveInt = 2000  # per scenario


class Validation:
    """The validation targets of a data folder.

    Raises:
        InputError: The data folder holds no validation events.
    """

    def __init__(
        self,
        data: Path,
        vocabulary: Vocabulary,
        config: ValidationConfig,
        evaluation: EvaluationConfig,
        share_S: NDArray[np.floating],
        excludes_seen_S: Sequence[bool],
        seed: int,
    ) -> None:
        self.metric, self.k = config.metric, int(config.metric.partition("@")[2])
        self.histories = Histories(data)
        self.allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios)
        self.popularity = Popularity(self.histories, self.allowed_SN)
        pairs = zip(share_S, excludes_seen_S, strict=True)
        self.weights = [configured(BoostConfig(popularity=share), excludes) for share, excludes in pairs]
        self.cases = [
            cases_of(self.histories, scenario, VALIDATION, evaluation.num_targets, config.max_users, seed)
            for scenario in range(len(vocabulary.scenarios))
        ]
        if not any(self.cases):
            raise InputError(
                f"validation.steps_between is {config.steps_between} and {data} holds no validation events. "
                "Set data.has_validation and prepare the data again, or leave validation.steps_between out."
            )

    def score(self, scorer: Scorer, logit_scale: float) -> float:
        """Return the mean over scenarios with cases of the metric's mean over users."""
        means, boosted = [], with_boosts(scorer, self.popularity, self.weights, logit_scale)
        for scenario, cases in enumerate(self.cases):
            if cases:
                ranks = rank_cases(boosted, self.histories, cases, scenario, self.allowed_SN[scenario])
                means.append(float(np.mean(user_metrics(ranks.rank_UT, (self.k,))[self.metric])))
        return float(np.mean(means))
