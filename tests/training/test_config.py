"""Config of the training: the number of steps follows the number of users, within its limits, unless it is given."""

import pytest

from redrec.training.config import MAX_STEPS, MIN_STEPS, NO_CUTOFF_FACTOR, NUM_PASSES, OptimizerConfig


@pytest.mark.parametrize(
    ("num_users", "num_steps"),
    [(1, MIN_STEPS), (128 * MIN_STEPS // NUM_PASSES, MIN_STEPS), (51_200, 2000), (10**9, MAX_STEPS)],
)
def test_steps_are_some_passes_over_the_users_within_limits(num_users, num_steps):
    assert OptimizerConfig().for_users(num_users, users_per_step=128, has_cutoff=True).steps == num_steps


def test_a_split_that_leaves_last_events_out_takes_more():
    steps = [OptimizerConfig().for_users(51_200, 128, has_cutoff).steps for has_cutoff in (True, False)]
    assert steps == [2000, NO_CUTOFF_FACTOR * 2000]


def test_given_steps_are_taken():
    assert OptimizerConfig(num_steps=7).for_users(10**9, users_per_step=128, has_cutoff=False).steps == 7
