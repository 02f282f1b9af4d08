"""Trend: what a scenario's users turn to these days stands higher, whoever asks.

Towers know what a user wants and what an item was while they were trained, not what came up since. So an item's score,
a cosine, is raised by `weight * log(1 + rate / mean rate) / logit scale`. The rate is events a day in the scenario, the
mean over the windows of the items' statistics, so that an event of yesterday counts more than one of last week. Cosine
times logit scale is what training made the log of an item's chance to be next, up to a constant, so a weight of one
would take the rate as a prior of which the towers know nothing; they know part of it.

Only the items with the greatest rates are raised, each by what it has above the first that is left out. The k best of a
raised search are then among the k best by cosine and the raised ones, so an index need not know of any of this.

Shapes: W windows, N items, T raised items.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from redrec.config import Config
from redrec.data.columns import WINDOWS_DAYS

MAX_RAISED = 16_384  # of a scenario; their embeddings are scored for every request: 4 MiB of float32 at D = 64


class TrendConfig(Config):
    weight: float = Field(default=0.25, ge=0)  # in logits; 0: no item is raised


def daily_rates(counts_WN: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return events a day, the mean over the windows; the first axis is that of the windows, there may be others.

    >>> daily_rates(np.array([[1, 0], [1, 7], [1, 28], [1, 28]])).round(3).tolist()
    [0.297, 0.562]
    """
    return np.tensordot(1 / np.array(WINDOWS_DAYS), counts_WN, axes=1) / len(WINDOWS_DAYS)


def boosts(rate_N: NDArray[np.float64], is_allowed_N: NDArray[np.bool_], weight: float) -> NDArray[np.float32]:
    """Return what each item's score is raised by, `boost_N`; the mean rate is that of the items that may be shown.

    >>> boosts(np.array([6.0, 0.0, 2.0, 0.0]), np.full(4, True), weight=1).astype(float).round(3).tolist()
    [1.386, 0.0, 0.693, 0.0]
    """
    allowed_rate_N = np.where(is_allowed_N, rate_N, 0.0)
    if not allowed_rate_N.any():
        return np.zeros(len(rate_N), dtype=np.float32)
    lift_N = np.log1p(allowed_rate_N / allowed_rate_N[is_allowed_N].mean())
    left_out = np.partition(lift_N, -MAX_RAISED - 1)[-MAX_RAISED - 1] if len(lift_N) > MAX_RAISED else 0.0
    return (weight * np.maximum(lift_N - left_out, 0.0)).astype(np.float32)
