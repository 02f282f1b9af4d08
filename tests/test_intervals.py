"""Intervals against their nominal coverage, and the power of pairing."""

import numpy as np
import pytest

from redrec.intervals import MIN_USERS, bootstrap_means, paired_gain


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    num_held = 0
    for seed in range(100):
        estimate = bootstrap_means((rng.random((200, 1)) < 0.3).astype(float), seed)[0]
        num_held += estimate.low <= 0.3 <= estimate.high
    assert 88 <= num_held <= 100  # nominal 95


def test_users_without_a_value_are_left_out_of_mean_and_interval():
    values_UM = np.array([[1.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])
    first, second = bootstrap_means(values_UM, seed=0)
    assert (first.value, first.users) == (0.5, 2)
    assert (second.value, second.low, second.users) == (None, None, 0)


def test_no_users_give_no_estimate():
    assert bootstrap_means(np.empty((0, 2)), seed=0)[1].value is None
    assert paired_gain(np.empty(0), np.empty(0), seed=0).difference.users == 0


def test_pairing_shows_a_gain_that_two_intervals_hide():
    """Users differ by far more than the gain of 0.05, which all of them have."""
    rival_U = np.random.default_rng(0).random(300)
    model_U = rival_U + 0.05
    model, rival = bootstrap_means(np.stack([model_U, rival_U], axis=1), seed=0)
    gain = paired_gain(model_U, rival_U, seed=0)
    assert model.low < rival.high
    assert (gain.difference.low, gain.difference.high) == pytest.approx((0.05, 0.05))
    assert gain.relative.value == pytest.approx(0.05 / rival_U.mean())
    assert gain.relative.low > 0.08


def test_a_model_has_no_gain_over_its_equal():
    rng = np.random.default_rng(1)
    gain = paired_gain(*(rng.random((2, 500)) < 0.3).astype(float), seed=0)
    assert gain.difference.low < 0 < gain.difference.high


def test_a_rival_without_a_hit_gives_no_relative_gain():
    gain = paired_gain(np.array([1.0, 0.0]), np.zeros(2), seed=0)
    assert (gain.relative.value, gain.difference.value) == (None, 0.5)


def test_too_few_users_have_a_value_and_no_interval():
    """Without a hit among 19 users an interval of [0, 0] would look certain."""
    few = bootstrap_means(np.zeros((MIN_USERS - 1, 1)), seed=0)[0]
    enough = bootstrap_means(np.zeros((MIN_USERS, 1)), seed=0)[0]
    assert (few.value, few.low, few.high, few.users) == (0, None, None, 19)
    assert (enough.low, enough.high) == (0, 0)


def test_a_user_without_a_value_does_not_make_enough():
    values_U = np.append(np.ones(MIN_USERS - 1), np.nan)
    assert bootstrap_means(values_U[:, None], seed=0)[0].low is None
    gain = paired_gain(values_U, np.ones(MIN_USERS), seed=0)
    assert (gain.difference.value, gain.difference.low, gain.difference.users) == (0, None, 19)
    assert (gain.relative.value, gain.relative.low) == (0, None)
