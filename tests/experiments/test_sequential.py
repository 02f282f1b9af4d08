"""Boundaries against published tables, and the level and the effect against simulated sums."""

import numpy as np
import pytest

from redrec.experiments.sequential import (
    Look,
    boundaries,
    crossing_probability,
    median_unbiased,
    obrien_fleming,
    pocock,
)
from tests.experiments import golden

FIFTHS = [Look(share, share) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
UNEVEN = [Look(share, information) for share, information in ((0.1, 3), (0.3, 4), (0.5, 10), (1.0, 11))]


@pytest.mark.parametrize(
    ("spending", "published"),
    [(obrien_fleming, [4.877, 3.357, 2.680, 2.290, 2.031]), (pocock, [2.438, 2.427, 2.410, 2.397, 2.386])],
)
def test_five_looks_equal_the_published_boundaries(spending, published):
    """Lan and DeMets' boundaries for a one-sided level of .025, as in Jennison and Turnbull (2000) and ldbounds."""
    assert boundaries(0.025, spending, FIFTHS) == pytest.approx(published, abs=2e-3)


@pytest.mark.parametrize("spending", [obrien_fleming, pocock])
@pytest.mark.parametrize("looks", [FIFTHS, UNEVEN])
def test_simulated_sums_cross_as_often_as_the_level_says(spending, looks):
    bounds = boundaries(0.05, spending, looks)
    rng, information = np.random.default_rng(0), np.array([look.information for look in looks])
    sum_RK = np.cumsum(rng.normal(0, np.sqrt(np.diff(information, prepend=0)), (200_000, len(looks))), axis=1)
    crossed = (sum_RK / np.sqrt(information) >= bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.002)
    assert crossing_probability(looks, bounds, 0.0) == pytest.approx(0.05, abs=1e-6)


def test_a_look_without_new_information_is_skipped_and_spends_nothing():
    repeated = [FIFTHS[0], Look(0.3, 0.2), *FIFTHS[1:]]
    bounds = boundaries(0.025, pocock, repeated)
    assert bounds.pop(1) == np.inf
    assert bounds == pytest.approx(boundaries(0.025, pocock, FIFTHS))


def test_what_others_leave_is_spent_at_the_last_look_alone():
    alone, more = boundaries(0.01, obrien_fleming, FIFTHS), boundaries(0.01, obrien_fleming, FIFTHS, last_level=0.03)
    assert more[:4] == alone[:4] and more[4] < alone[4]
    assert crossing_probability(FIFTHS, more, 0.0) == pytest.approx(0.03, abs=1e-6)


def test_the_adjusted_effect_is_below_the_truth_half_of_the_time(monkeypatch):
    """The plain estimate is too high in the mean, since a test stops when it is high."""
    monkeypatch.setattr("redrec.experiments.sequential.NUM_POINTS", 101)  # faster
    bounds, truth = boundaries(0.05, pocock, FIFTHS), 2.0
    sums = np.cumsum(np.random.default_rng(1).normal(truth / 5, np.sqrt(1 / 5), (300, 5)), axis=1)
    plain, adjusted = [], []
    for sum_K in sums:
        statistic_K = sum_K / np.sqrt([look.information for look in FIFTHS])
        stopped = next((k for k in range(5) if statistic_K[k] >= bounds[k]), 4)
        plain.append(statistic_K[stopped] / np.sqrt(FIFTHS[stopped].information))
        adjusted.append(median_unbiased(FIFTHS[: stopped + 1], bounds[: stopped + 1], statistic_K[stopped]) > truth)
    assert np.mean(plain) > 1.1 * truth
    assert np.mean(adjusted) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "case", golden.values()["spotify_confidence"], ids=lambda case: f"{case['level']:.3f}-{case['power']}"
)
def test_boundaries_equal_those_of_spotify_confidence(case):
    looks = [Look(day / golden.LOOKS, day) for day in range(1, golden.LOOKS + 1)]

    def spending(level: float, share: float) -> float:
        return level * share ** case["power"]

    assert boundaries(case["level"], spending, looks) == pytest.approx(case["bounds"], abs=2e-3)
