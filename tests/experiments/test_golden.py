"""Buckets, boundaries and intervals against other implementations (`tests.experiments.golden`)."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from redrec.experiments.assignment import buckets, namespace_buckets
from redrec.experiments.effects import aggregates, change, effect
from redrec.experiments.plan import Metric
from redrec.experiments.sequential import Look, boundaries
from redrec.experiments.sums import Sums
from redrec.folders import read_json
from tests.experiments import golden

VALUES = read_json(Path(__file__).with_name("golden.json"))
METRICS = {"click": Metric(event="click"), "click/impression": Metric(event="click", per="impression")}


@pytest.mark.parametrize("seed", golden.SEEDS)
def test_twenty_thousand_buckets_equal_those_of_growthbooks_sdk(seed):
    steps = np.round(10_000 * buckets(seed, golden.ids())).astype(int).tolist()
    assert golden.digest(steps) == VALUES["growthbook"][seed]


def test_twenty_thousand_namespace_buckets_equal_those_of_growthbooks_sdk():
    steps = np.round(1000 * namespace_buckets("retrieval", golden.ids())).astype(int).tolist()
    assert golden.digest(steps) == VALUES["growthbook"]["namespace"]


@pytest.mark.parametrize("case", VALUES["spotify_confidence"], ids=lambda case: f"{case['level']:.3f}-{case['power']}")
def test_boundaries_equal_those_of_spotify_confidence(case):
    looks = [Look(day / golden.LOOKS, day) for day in range(1, golden.LOOKS + 1)]

    def spending(level: float, share: float) -> float:
        return level * share ** case["power"]

    assert boundaries(case["level"], spending, looks) == pytest.approx(case["bounds"], abs=2e-3)


@pytest.fixture(scope="module", name="arms")
def _arms() -> list:
    users, click, impression, click_2, impression_2, product = np.array(golden.ARMS, float).T
    products = np.stack([np.stack([click_2, product], 1), np.stack([product, impression_2], 1)], 1)[:, None]
    sums = Sums(users[:, None], np.stack([click, impression], 1)[:, None], products, np.zeros((2, 1, 3), int))
    return [aggregates(sums, arm, 1, ("click", "impression")) for arm in (0, 1)]


@pytest.mark.parametrize("name", METRICS)
def test_statistics_and_intervals_equal_those_of_gbstats(arms, name):
    difference, low, high = VALUES["gbstats"][f"{name} absolute"]
    error = (high - low) / (2 * norm.isf(0.025))  # its quantile is Student's: with 40,000 users 6e-5 more
    assert effect(*arms, METRICS[name]).statistic == pytest.approx(difference / error, rel=2e-4)
    relative, low, high = VALUES["gbstats"][f"{name} relative"]
    seen = change(*arms, METRICS[name], 0.025)
    assert seen.relative == pytest.approx(relative, rel=1e-9)
    assert (seen.low, seen.high) == pytest.approx((low, high), abs=1e-3)  # ours is not symmetric around the change
