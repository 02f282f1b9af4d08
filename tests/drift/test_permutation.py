"""Permutation: p-values are uniform without a change, whatever users have in common; users keep their windows' sizes."""

import numpy as np

from redrec.drift.permutation import Sample, permuted_differences, weighted_means

NUM_USERS = 60


def sample(rng: np.random.Generator, shift: float = 0.0) -> Sample:
    """Return values that a user mostly keeps; two thirds of the users are seen in each window."""
    value_WU1 = rng.normal(0, 3, (1, NUM_USERS, 1)) + rng.normal(0, 1, (2, NUM_USERS, 1))
    value_WU1[1] += shift
    weight_WU = (rng.random((2, NUM_USERS)) < 2 / 3).astype(np.float32) * rng.uniform(0.5, 2, (2, NUM_USERS))
    return Sample(value_WU1.astype(np.float32), weight_WU.astype(np.float32))


def pvalue(one: Sample) -> float:
    (differences,) = permuted_differences([one], 199, seed=0)
    everything = np.append(differences.observed_M, differences.permuted_PM)
    deviation = np.abs(everything - everything.mean())
    return float((deviation >= deviation[0]).mean())


def test_pvalues_are_uniform_without_a_change_and_small_with_one():
    rng = np.random.default_rng(0)
    without = np.array([pvalue(sample(rng)) for _ in range(200)])
    assert 0.01 < (without <= 0.05).mean() < 0.10
    assert 0.42 < without.mean() < 0.58
    assert np.mean([pvalue(sample(rng, shift=2.5)) <= 0.05 for _ in range(40)]) > 0.9


def test_the_observed_difference_is_that_of_the_weighted_values():
    """Two users in both windows, one in each alone; with equal weights it is the difference of plain means."""
    value_WU1 = np.array([[[1.0], [2.0], [6.0], [0.0]], [[3.0], [4.0], [0.0], [9.0]]], dtype=np.float32)
    weight_WU = np.array([[1, 1, 1, 0], [1, 1, 0, 1]], dtype=np.float32)
    (differences,) = permuted_differences([Sample(value_WU1, weight_WU)], 10, seed=0)
    assert np.allclose(differences.observed_M, (3 + 4 + 9) / 3 - (1 + 2 + 6) / 3)
    assert np.allclose(weighted_means(value_WU1, weight_WU), [[3.0], [16 / 3]])


def test_a_user_without_a_value_counts_as_the_mean_and_samples_share_their_permutations():
    one = sample(np.random.default_rng(1))
    value_WU2 = np.concatenate([one.value_WUM, one.value_WUM], axis=2)
    value_WU2[0, 0, 1] = np.nan
    first, both = permuted_differences([one, Sample(value_WU2, one.weight_WU)], 20, seed=3)
    assert np.allclose(first.permuted_PM[:, 0], both.permuted_PM[:, 0], atol=1e-5)
    assert not np.isnan(both.permuted_PM).any()
