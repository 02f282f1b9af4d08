"""Golden values: what other implementations say, made once and kept in golden.json.

Each function runs in an environment of its own, since their requirements exclude each other and ours:

    pip install growthbook==1.3.1          && python tests/experiments/golden.py growthbook
    pip install spotify-confidence==4.1.0  && python tests/experiments/golden.py spotify_confidence
    pip install gbstats==0.8.0             && python tests/experiments/golden.py gbstats

Each prints the value of its key.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

SEEDS = ("", "towers-2:", "towers-2:ads:")
NUM_IDS = 20_000
LOOKS = 14
LEVELS, POWERS = (0.05, 0.025, 0.05 / 3), (1.0, 2.0, 3.0)  # of spending functions level * share ** power
# Users, and sums of clicks, impressions, squared clicks, squared impressions and clicks times impressions, per arm.
ARMS = ((20_000, 30_100, 301_000, 151_300, 9_060_000, 702_000), (19_950, 31_700, 300_900, 163_000, 9_100_000, 731_000))


def values() -> dict[str, Any]:
    """Return what is kept."""
    return json.loads(Path(__file__).with_suffix(".json").read_text())


def ids() -> list[str]:
    return [f"user-{number}" for number in range(NUM_IDS)]


def digest(steps: list[int]) -> str:
    """Return a hash of buckets in steps of 1 / 10,000 or 1 / 1,000."""
    return hashlib.sha256(",".join(map(str, steps)).encode()).hexdigest()


def growthbook() -> dict[str, Any]:
    from growthbook.core import gbhash

    values = {"namespace": digest([round(1000 * gbhash("__retrieval", user, 1)) for user in ids()])}
    return values | {seed: digest([round(10_000 * gbhash(seed, user, 2)) for user in ids()]) for seed in SEEDS}


def spotify_confidence() -> list[dict[str, Any]]:
    """Return one-sided boundaries of even looks for spending `level * share ** power`."""
    import numpy as np
    from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds

    shares, values = np.arange(1, LOOKS + 1) / LOOKS, []
    for level in LEVELS:
        for power in POWERS:
            solved = bounds(shares, level, power, 8.0, 1).df.zb
            values.append({"level": level, "power": power, "bounds": [round(float(bound), 6) for bound in solved]})
    return values


def gbstats() -> dict[str, Any]:
    """Return difference and 95 % interval of clicks per impression and per user."""
    from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
    from gbstats.models.statistics import RatioStatistic, SampleMeanStatistic

    clicks, rates = [], []
    for users, click, impression, click_2, impression_2, product in ARMS:
        clicks.append(SampleMeanStatistic(users, click, click_2))
        impressions = SampleMeanStatistic(users, impression, impression_2)
        rates.append(RatioStatistic(users, clicks[-1], impressions, product))
    values = {}
    for name, arms in (("click", clicks), ("click/impression", rates)):
        for kind in ("absolute", "relative"):
            result = TwoSidedTTest(*arms, FrequentistConfig(difference_type=kind)).compute_result()
            values[f"{name} {kind}"] = [result.expected, *result.ci]
    return values


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
