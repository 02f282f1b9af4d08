"""Significance: adjusted p-values are of all columns and scenarios, and enough permutations are drawn for them."""

import numpy as np
import pyarrow as pa

from redrec.drift.config import DriftConfig
from redrec.drift.measures import IS_CURRENT, NUM_EVENTS, USER, LevelColumn, RankColumn, UserSums
from redrec.drift.significance import changes, num_permutations

NUM_USERS = 300


def sums(rng: np.random.Generator, shift: float = 0.0) -> UserSums:
    """Return ten columns of users that are seen in both windows; the first of them is shifted."""
    columns = {f"x{number}": RankColumn(f"x{number}", np.linspace(-2, 2, 30)) for number in range(10)}
    both = UserSums(columns, NUM_USERS)
    users, is_current = np.tile(np.arange(NUM_USERS), 2), np.repeat([False, True], NUM_USERS)
    values = {name: rng.normal(0, 1, 2 * NUM_USERS) + shift * is_current * (name == "x0") for name in columns}
    both.add(pa.RecordBatch.from_pydict({USER: users, IS_CURRENT: is_current, **values}))
    return both


def test_any_of_many_columns_is_significant_as_seldom_as_alpha_says():
    rng, config = np.random.default_rng(0), DriftConfig(num_permutations=199)
    smallest = [min(one.p_adjusted for one in changes(sums(rng), {}, config, 1).values()) for _ in range(100)]
    assert np.mean(np.array(smallest) <= config.alpha) <= 0.1
    assert np.mean(np.array(smallest)) > 0.3


def test_the_shifted_column_is_found_with_its_direction_and_size():
    by_column = changes(sums(np.random.default_rng(1), shift=0.8), {}, DriftConfig(), 3)
    assert {name for name, change in by_column.items() if change.p_adjusted <= 0.05} == {"x0"}
    change = by_column["x0"]
    assert (change.measure.what, change.kind, change.after > change.before) == ("shift", "values", True)
    assert abs(change.effect - 0.21) < 0.04  # of a normal value shifted by .8: the later one is higher in 71 % of pairs
    assert by_column[NUM_EVENTS].p_adjusted == 1  # one event of each user in each window
    assert change.effects == {"values": change.effect, "nulls": 0.0, "infinite": 0.0}


def test_pvalues_are_multiplied_by_the_number_of_scenarios():
    one, three = (changes(sums(np.random.default_rng(2), 0.3), {}, DriftConfig(), number) for number in (1, 3))
    assert three["x0"].p_adjusted == min(1, 3 * one["x0"].p_adjusted)
    assert (num_permutations(DriftConfig(), 3), num_permutations(DriftConfig(), 50)) == (999, 4000)


def test_a_significant_new_level_explains_the_levels_that_lost():
    both = UserSums({"x": LevelColumn("x", ["old", "new"])}, NUM_USERS)
    users, is_current = np.tile(np.arange(NUM_USERS), 2), np.repeat([False, True], NUM_USERS)
    levels = np.where(is_current & (users % 3 == 0), "new", "old")
    both.add(pa.RecordBatch.from_pydict({USER: users, IS_CURRENT: is_current, "x": pa.array(levels, pa.string())}))
    assert changes(both, {}, DriftConfig(), 1)["x"].measure.level == "new"
