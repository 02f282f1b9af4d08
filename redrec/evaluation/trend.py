"""Trend in evaluation: the towers' scores raised by what was met lately before the part that is asked about.

Where the last events of each user are left out no moment divides the parts, and what is late for one user is long gone
for another: there all of training counts, whenever it was.

Shapes: S scenarios, N items.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories, recent_counts, train_counts
from redrec.evaluation.scorers import Scorer
from redrec.index.trend import boosts, daily_rates
from redrec.recipe import Recipe


def trend_weight(model: Path) -> float:
    """Return what a trained model's boosts are multiplied by, as a cosine; zero where nothing is raised."""
    config = Recipe.model_validate_json((model / "recipe.json").read_text()).trend
    if config.weight == 0:
        return 0.0
    return config.weight / float(json.loads((model / "training.json").read_text())["logit_scale"])


def with_trend(scorer: Scorer, histories: Histories, part: int, allowed_SN: NDArray[np.bool_], weight: float) -> Scorer:
    """Return the scorer as it is when asked about `part`."""
    if weight == 0:
        return scorer
    num_scenarios, num_items = allowed_SN.shape
    rate_SN = (
        daily_rates(recent_counts(histories, part, num_items, num_scenarios))
        if histories.begins_ms
        else train_counts(histories, num_items, num_scenarios).astype(float)
    )
    of_scenarios = zip(rate_SN, allowed_SN, strict=True)
    return scorer._replace(boost_SN=np.stack([boosts(rate_N, allowed_N, weight) for rate_N, allowed_N in of_scenarios]))
