"""Sequential tests: how far from zero a statistic must be at each look, so that all looks together keep one level.

A spending function says how much of the level may be used up to a share of the planned days (Lan and DeMets,
Biometrika 1983); the correlation between looks comes from the information seen, one over the squared standard error.
O'Brien-Fleming spending keeps nearly all of the level for the last look, so promotions lose little power; Pocock
spending is about even, so harm is found early. The boundaries are found by numerical integration of the sums' density
over the looks that did not stop (Armitage, McPherson and Rowe, JRSS A 1969). They are one-sided and upper.

Shapes: K looks, G points of the grid.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

Spending = Callable[[float, float], float]  # level and share of the planned days -> what may be spent until then

NUM_POINTS = 201  # the last boundary of 14 daily looks differs by 8e-4 from that of 1,601 points
RANGE = 8.0  # standard errors below zero that the grid covers
LEAST_SPENT = 1e-9  # below it no boundary is found: nothing stops at this look
LEAST_NEW_INFORMATION = (
    0.01  # relative; a look with less of it is skipped and spends nothing, as the grid is too coarse for it
)


def obrien_fleming(level: float, share: float) -> float:
    """Return the level spent until `share` of the planned days.

    >>> [round(obrien_fleming(0.05, share), 4) for share in (0.25, 0.5, 1.0)]
    [0.0001, 0.0056, 0.05]
    """
    if share >= 1:
        return level
    return float(2 * norm.sf(norm.isf(level / 2) / np.sqrt(share)))


def pocock(level: float, share: float) -> float:
    """Return the level spent until `share` of the planned days.

    >>> [round(pocock(0.05, share), 4) for share in (0.25, 0.5, 1.0)]
    [0.0179, 0.031, 0.05]
    """
    return float(level * np.log1p((np.e - 1) * min(share, 1.0)))


class Look(NamedTuple):
    """One look at one metric."""

    share: float  # of the planned days
    information: float  # one over the squared standard error of the effect


class _Density(NamedTuple):
    """The density of the sum at one look, of the runs that no look has stopped yet."""

    sum_G: NDArray[np.float64]
    weight_G: NDArray[np.float64]  # density times width


def boundaries(level: float, spending: Spending, looks: Sequence[Look], last_level: float | None = None) -> list[float]:
    """Return the boundary of the statistic at each look, `inf` where nothing may stop.

    `last_level` is what may be spent in all by the last planned day, if other hypotheses have left theirs (Holm).

    >>> looks = [Look(share, share) for share in (0.25, 0.5, 0.75, 1.0)]
    >>> [round(bound, 2) for bound in boundaries(0.025, obrien_fleming, looks)]
    [4.33, 2.96, 2.36, 2.01]
    """
    return list(_boundaries(level, spending, tuple(looks), last_level or level))


@lru_cache(maxsize=1024)
def _boundaries(level: float, spending: Spending, looks: tuple[Look, ...], last_level: float) -> tuple[float, ...]:
    bounds: list[float] = []
    density, seen, spent = None, 0.0, 0.0
    for look in looks:
        if look.information <= seen * (1 + LEAST_NEW_INFORMATION):
            bounds.append(np.inf)
            continue
        allowed = (last_level if look.share >= 1 else spending(level, look.share)) - spent
        step = look.information - seen
        bound = _bound(density, step, allowed)
        bounds.append(float(bound / np.sqrt(look.information)))
        if np.isfinite(bound):
            spent += allowed
        density, seen = _next(density, step, look.information, bound, drift=0.0), look.information
    return tuple(bounds)


def crossing_probability(looks: Sequence[Look], bounds: Sequence[float], drift: float) -> float:
    """Return the chance that any look's statistic reaches its bound, where the true effect is `drift`."""
    density, seen, total = None, 0.0, 0.0
    for look, bound in zip(looks, bounds, strict=True):
        if look.information <= seen * (1 + LEAST_NEW_INFORMATION):
            continue
        step = look.information - seen
        limit = bound * np.sqrt(look.information)
        total += _above(density, step, limit, drift)
        density, seen = _next(density, step, look.information, limit, drift), look.information
    return total


def median_unbiased(looks: Sequence[Look], bounds: Sequence[float], statistic: float) -> float:
    """Return the effect that would have stopped the test by now, or with a higher statistic, half of the time.

    The plain estimate of a test that stopped is too high: it stopped because it was high. `looks` and `bounds` end with
    the look that stopped, where `statistic` was seen (stage-wise ordering: Jennison and Turnbull, 2000, section 8.4).
    """
    *earlier, _ = bounds
    error = 1 / np.sqrt(looks[-1].information)
    reached = [*earlier, statistic]

    def excess(drift: float) -> float:
        return crossing_probability(looks, reached, drift) - 0.5

    return float(brentq(excess, (statistic - RANGE) * error, (statistic + 1) * error, xtol=1e-6 * error))


def _above(density: _Density | None, step: float, limit: float, drift: float) -> float:
    """Return the chance that the next sum is at `limit` or above it."""
    if density is None:
        return float(norm.sf((limit - drift * step) / np.sqrt(step)))
    return float(density.weight_G @ ndtr((density.sum_G + drift * step - limit) / np.sqrt(step)))


def _bound(density: _Density | None, step: float, allowed: float) -> float:
    """Return the sum that the next look reaches with chance `allowed`, if no effect exists."""
    if allowed < LEAST_SPENT:
        return np.inf
    if density is None:
        return float(norm.isf(allowed) * np.sqrt(step))
    width = np.sqrt(step)
    low, high = density.sum_G[0] - RANGE * width, density.sum_G[-1] + RANGE * width
    return float(brentq(lambda limit: _above(density, step, limit, 0.0) - allowed, low, high, xtol=1e-9 * width))


def _next(density: _Density | None, step: float, information: float, bound: float, drift: float) -> _Density:
    """Return the density of the next sum below its bound."""
    middle, width = drift * information, RANGE * np.sqrt(information)
    sum_G = np.linspace(middle - width, min(bound, middle + width), NUM_POINTS)
    if density is None:
        height_G = norm.pdf(sum_G, drift * step, np.sqrt(step))
    else:
        away_GG = sum_G[:, None] - density.sum_G[None, :] - drift * step
        height_G = np.exp(away_GG**2 / (-2 * step)) @ density.weight_G / np.sqrt(2 * np.pi * step)
    weight_G = height_G * (sum_G[1] - sum_G[0])
    weight_G[[0, -1]] /= 2  # trapezoids
    return _Density(sum_G, weight_G)
