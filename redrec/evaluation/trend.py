"""Trend in evaluation: the towers' scores raised by what was met lately before the part that is asked about.

Measured only where a moment divides the parts. Where the last events of each user are left out, what is late for one
is long gone for another, so there nothing is raised, and a bundle of such a run raises nothing either.

Shapes: S scenarios, N items.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories, recent_counts
from redrec.evaluation.scorers import Scorer
from redrec.index.trend import boosts, daily_rates
from redrec.recipe import Recipe


def trend_weight(model: Path, histories: Histories) -> float:
    """Return what a trained model's boosts are multiplied by, as a cosine; zero where nothing is raised."""
    config = Recipe.model_validate_json((model / "recipe.json").read_text()).trend
    if config.weight == 0 or not histories.begins_ms:
        return 0.0
    return config.weight / float(json.loads((model / "training.json").read_text())["logit_scale"])


def with_trend(scorer: Scorer, histories: Histories, part: int, allowed_SN: NDArray[np.bool_], weight: float) -> Scorer:
    """Return the scorer as it is when asked about `part`."""
    if weight == 0:
        return scorer
    counts_WSN = recent_counts(histories, part, allowed_SN.shape[1], len(allowed_SN))
    boost_SN = np.stack(
        [boosts(daily_rates(counts_WSN[:, s]), allowed_N, weight) for s, allowed_N in enumerate(allowed_SN)]
    )
    return scorer._replace(boost_SN=boost_SN)
