"""Intervals: bootstrap over users of the mean of a per-user metric.

Shapes: R resamples, U users, M metrics.
"""

import numpy as np
from numpy.typing import NDArray

from redrec.config import Config

NUM_RESAMPLES = 1000
LEVEL = 0.95
RESAMPLES_PER_BLOCK = 50


class Estimate(Config):
    """A mean over users and its percentile interval; all None without users."""

    value: float | None
    low: float | None
    high: float | None
    users: int


def bootstrap_means(metrics_UM: NDArray[np.floating], seed: int) -> list[Estimate]:
    """Return one estimate per metric; users whose value is nan carry no evidence on it and are left out.

    The resamples are the same for all metrics, so two models rated on the same users share their noise.
    """
    rng = np.random.default_rng(seed)
    num_users = len(metrics_UM)
    is_rated_UM = np.isfinite(metrics_UM)
    values_UM = np.where(is_rated_UM, metrics_UM, 0.0)
    means_RM = np.concatenate(
        [_resample(values_UM, is_rated_UM, rng) for _ in range(NUM_RESAMPLES // RESAMPLES_PER_BLOCK)]
    )
    tail = (1 - LEVEL) / 2
    estimates = []
    for m in range(metrics_UM.shape[1]):
        rated = metrics_UM[is_rated_UM[:, m], m]
        if not len(rated) or not num_users:
            estimates.append(Estimate(value=None, low=None, high=None, users=0))
            continue
        low, high = np.nanquantile(means_RM[:, m], [tail, 1 - tail])
        estimates.append(Estimate(value=rated.mean(), low=low, high=high, users=len(rated)))
    return estimates


def _resample(
    values_UM: NDArray[np.floating], is_rated_UM: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.floating]:
    num_users = len(values_UM)
    counts_RU = rng.multinomial(num_users, np.full(num_users, 1 / max(1, num_users)), size=RESAMPLES_PER_BLOCK)
    rated_RM = counts_RU @ is_rated_UM.astype(float)
    return counts_RU @ values_UM / np.where(rated_RM > 0, rated_RM, np.nan)
