"""Calibration: floors are above what ordinary pairs change, in nearly all of the pairs that follow."""

import numpy as np
import pytest

from redrec.drift.calibration import MIN_PAIRS, NOT_CALIBRATED, calibrated
from redrec.drift.config import DriftConfig
from redrec.drift.measures import Measure
from redrec.drift.significance import ColumnChange

SCALES = {"a": 0.01, "b": 0.03, "c": 0.02}


def pair(rng: np.random.Generator) -> dict:
    return {"ads": {name: {"values": abs(float(rng.normal(0, scale)))} for name, scale in SCALES.items()}}


def change(column: str, effect: float = 0.0, what: str = "shift") -> ColumnChange:
    return ColumnChange(Measure(column, what), 0.0, effect, effect, {}, 1.0, 1.0)


@pytest.mark.parametrize("num_pairs", [8, 20])
def test_any_column_of_a_later_pair_is_above_its_floor_in_one_of_twenty(num_pairs):
    rng, above = np.random.default_rng(0), []
    for _ in range(400):
        floors = calibrated([pair(rng) for _ in range(num_pairs)]).floors["ads"]
        later = pair(rng)["ads"]
        above.append(any(later[name]["values"] > floors[name]["values"] for name in SCALES))
    assert 0.01 < np.mean(above) < 0.09


def test_the_floor_of_a_column_follows_how_much_it_changes():
    rng = np.random.default_rng(1)
    floors = calibrated([pair(rng) for _ in range(200)]).floors["ads"]
    assert 2.3 < floors["b"]["values"] / floors["a"]["values"] < 3.7


def test_defaults_hold_with_few_pairs_and_for_what_never_changed():
    rng, config = np.random.default_rng(2), DriftConfig()
    few = calibrated([pair(rng) for _ in range(MIN_PAIRS - 1)])
    assert (few.num_pairs, few.floors) == (MIN_PAIRS - 1, {})
    assert few.floor("ads", change("a"), config) == config.value_floor
    enough = calibrated([pair(rng) for _ in range(MIN_PAIRS)])
    assert enough.floor("ads", change("a"), config) == enough.floors["ads"]["a"]["values"]
    assert enough.floor("ads", change("a", what="nulls"), config) == config.value_floor
    assert enough.floor("search", change("a"), config) == config.value_floor
    assert NOT_CALIBRATED.floor("ads", change("vector", what="distance"), config) == config.vector_floor
