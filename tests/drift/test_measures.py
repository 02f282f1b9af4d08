"""Measures: ranks, shares and nulls of each user's events, in whichever batches they come."""

import numpy as np
import pyarrow as pa
import pytest

from redrec.drift.measures import IS_CURRENT, REST, USER, LevelColumn, RankColumn, UserSums


def batch(users, is_current, **columns) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({USER: users, IS_CURRENT: is_current, **columns})


def test_a_rank_is_the_share_of_smaller_values_with_half_of_the_equal_ones():
    ranks = RankColumn("x", np.array([1.0, 2.0, 2.0, 3.0]))
    measured_NM = ranks.of(pa.array([0.0, 2.0, float("inf"), None]))
    assert measured_NM[:3].tolist() == [[0, 1, 0], [0.5, 0, 0], [1, 1, 1]]
    assert np.isnan(measured_NM[3]).all()


def test_a_level_that_is_not_named_is_of_the_rest():
    measured_NM = LevelColumn("x", ["a", "b"]).of(pa.array(["b", "other", None]))
    assert measured_NM[:2].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert np.isnan(measured_NM[2]).all()
    assert LevelColumn("x", ["a"]).measures[-1].level == REST


@pytest.mark.parametrize("num_batches", [1, 2, 5])
def test_means_of_users_do_not_depend_on_the_batches(num_batches):
    users, is_current = [0, 0, 1, 1, 1], [False, False, False, True, True]
    actions = ["like", "click", None, "like", "like"]
    sums = UserSums({"action": LevelColumn("action", ["like", "click"])}, num_users=2)
    for segment in np.array_split(np.arange(5), num_batches):
        sums.add(
            batch(
                *([column[n] for n in segment] for column in (users, is_current)),
                action=pa.array([actions[n] for n in segment], pa.string()),
            )
        )
    value_WUM, weight_WU = sums.values().sample
    assert [measure.what for measure in sums.values().measures] == ["share", "share", "share", "nulls"]
    assert value_WUM[0, 0].tolist() == [0.5, 0.5, 0, 0]
    assert np.isnan(value_WUM[0, 1, :3]).all() and value_WUM[0, 1, 3] == 1
    assert value_WUM[1, 1].tolist() == [1, 0, 0, 0]
    assert np.allclose(weight_WU, [[2 / 1.2, 1], [0, 2 / 1.2]])


def test_activity_is_the_rank_of_the_number_of_events_and_counts_each_user_the_same():
    sums = UserSums({}, num_users=3)
    sums.add(batch([0, 1, 1, 2, 2, 2], [False] * 6))
    value_WUM, weight_WU = sums.activity().sample
    assert (np.diff(value_WUM[0, :, 0]) > 0).all()
    assert weight_WU.tolist() == [[1, 1, 1], [0, 0, 0]]
