"""Trend in evaluation: the towers' scores raised by what was met lately before the part that is asked about.

Shapes: S scenarios, N items.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.config import InputError
from redrec.data.histories import Histories, recent_counts
from redrec.evaluation.scorers import Scorer
from redrec.index.trend import TrendConfig, boosts, daily_rates


def trend_weight(config: TrendConfig, model: Path) -> float:
    """Return what a trained model's boosts are multiplied by, as a cosine; zero where nothing is raised.

    Raises:
        InputError: The model does not say its logit scale.
    """
    if config.weight == 0:
        return 0.0
    figures = json.loads((model / "training.json").read_text())
    if "logit_scale" not in figures:
        raise InputError(
            f"{model / 'training.json'} has no logit_scale, of which trend.weight {config.weight} is a part: it was "
            "trained before there was a trend. Train again, or set trend.weight to 0 in its recipe.json."
        )
    return config.weight / float(figures["logit_scale"])


def with_trend(scorer: Scorer, histories: Histories, part: int, allowed_SN: NDArray[np.bool_], weight: float) -> Scorer:
    """Return the scorer as it is when asked about `part`."""
    if weight == 0:
        return scorer
    num_scenarios, num_items = allowed_SN.shape
    rate_SN = daily_rates(recent_counts(histories, part, num_items, num_scenarios))
    of_scenarios = zip(rate_SN, allowed_SN, strict=True)
    return scorer._replace(boost_SN=np.stack([boosts(rate_N, allowed_N, weight) for rate_N, allowed_N in of_scenarios]))
