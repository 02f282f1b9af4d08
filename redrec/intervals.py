"""Intervals: bootstrap over users, of the mean of a per-user metric and of one model's gain over another.

Shapes: R resamples, U users, M metrics.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.config import Record

NUM_RESAMPLES = 1000
LEVEL = 0.95
RESAMPLES_PER_BLOCK = 50
# Without a hit among n users the interval would be [0, 0], though a hit rate of up to 3 / n is likely then: 15 % of 20.
MIN_USERS = 20

Floats = NDArray[np.floating]


class Estimate(Record):
    """A mean over users and its percentile interval; all None without users, no interval below `MIN_USERS` users."""

    value: float | None
    low: float | None
    high: float | None
    users: int


class Gain(NamedTuple):
    """The gain of a model over a rival on the same users: the difference of the means, and its share of the rival's."""

    difference: Estimate
    relative: Estimate


def bootstrap_means(metrics_UM: Floats, seed: int) -> list[Estimate]:
    """Return one estimate per metric; users with the value nan are no evidence and are left out.

    The resamples are the same for all metrics, so two models measured on the same users share their noise.
    """
    is_rated_UM = np.isfinite(metrics_UM)
    means_RM = _resampled_means(metrics_UM, is_rated_UM, seed)
    rated = [metrics_UM[is_rated_U, m] for m, is_rated_U in enumerate(is_rated_UM.T)]
    return [
        _estimate(float(values.mean()) if len(values) else np.nan, means_R, len(values))
        for values, means_R in zip(rated, means_RM.T, strict=True)
    ]


def paired_gain(model_U: Floats, rival_U: Floats, seed: int) -> Gain:
    """Return the gain of a model over a rival, both measured on the same users; users with a nan are left out."""
    values_U2 = np.stack([model_U, rival_U], axis=1)
    values_U2 = values_U2[np.isfinite(values_U2).all(1)]
    means_R2 = _resampled_means(values_U2, np.isfinite(values_U2), seed)
    model, rival = values_U2.mean(0) if len(values_U2) else (np.nan, np.nan)
    model_R, rival_R = means_R2.T
    relative_R = np.where(rival_R > 0, model_R / np.where(rival_R > 0, rival_R, 1) - 1, np.nan)
    return Gain(
        _estimate(model - rival, model_R - rival_R, len(values_U2)),
        _estimate(model / rival - 1 if rival > 0 else np.nan, relative_R, len(values_U2)),
    )


def _estimate(value: float, values_R: Floats, num_users: int) -> Estimate:
    if not np.isfinite(value):
        return Estimate(value=None, low=None, high=None, users=num_users)
    if num_users < MIN_USERS:
        return Estimate(value=value, low=None, high=None, users=num_users)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values_R, [tail, 1 - tail])
    return Estimate(value=value, low=low, high=high, users=num_users)


def _resampled_means(values_UM: Floats, is_rated_UM: NDArray[np.bool_], seed: int) -> Floats:
    """Return the means of `NUM_RESAMPLES` draws of U users with replacement, nan if a draw has no user with a value."""
    rng, num_users = np.random.default_rng(seed), len(values_UM)
    values_UM = np.where(is_rated_UM, values_UM, 0.0)
    blocks = []
    for _ in range(NUM_RESAMPLES // RESAMPLES_PER_BLOCK):
        drawn_RU = rng.integers(max(1, num_users), size=(RESAMPLES_PER_BLOCK, num_users))
        counts_RU = np.stack([np.bincount(drawn_U, minlength=num_users) for drawn_U in drawn_RU])
        rated_RM = counts_RU @ is_rated_UM.astype(float)
        blocks.append(counts_RU @ values_UM / np.where(rated_RM > 0, rated_RM, np.nan))
    return np.concatenate(blocks)
