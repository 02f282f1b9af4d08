"""Assignment against GrowthBook's values: buckets, arms, and growing coverage."""

import numpy as np
import pytest
from scipy import stats

from redrec.config import InputError
from redrec.experiments.assignment import bucket, bucket_ranges, buckets, choose_arm, choose_arms


@pytest.mark.parametrize(
    ("seed", "value", "expected"), [("", "a", 0.0216), ("b", "ef", 0.4549), ("exp1:ads", "u123", 0.9318)]
)
def test_bucket_equals_the_growthbook_sdk(seed, value, expected):
    assert bucket(seed, value) == expected


def test_vectorised_buckets_equal_the_scalar_ones():
    values = ["", "a", "user with spaces", "u123", "x" * 70, *(str(number) for number in range(500))]
    assert buckets("exp1:ads", values).tolist() == [bucket("exp1:ads", value) for value in values]


def test_buckets_of_two_experiments_are_uniform_and_unrelated():
    values = [f"u{number}" for number in range(20_000)]
    first_N, second_N = buckets("exp1", values), buckets("exp2", values)
    counts, _ = np.histogram(first_N, bins=100, range=(0, 1))
    assert stats.chisquare(counts).pvalue > 0.001
    assert stats.pearsonr(first_N, second_N).pvalue > 0.001


def test_of_other_ids_the_utf_8_bytes_are_hashed():
    hashed = 0
    for text in ("zażółć", None):
        digits = (text or str(hashed)).encode()
        hashed = 0x811C9DC5
        for byte in digits:
            hashed = (hashed ^ byte) * 0x01000193 % 2**32
    assert bucket("", "zażółć") == hashed % 10_000 / 10_000
    assert buckets("exp1", ["u1", "zażółć"]).tolist() == [bucket("exp1", "u1"), bucket("exp1", "zażółć")]


def test_growing_coverage_leaves_every_user_in_the_same_arm():
    bucket_N = buckets("exp1", [f"u{number}" for number in range(5_000)])
    small_N = choose_arms(bucket_N, bucket_ranges([0.4, 0.6], coverage=0.2))
    large_N = choose_arms(bucket_N, bucket_ranges([0.4, 0.6], coverage=0.9))
    is_in_N = small_N >= 0
    assert 0.17 < is_in_N.mean() < 0.23
    assert (small_N[is_in_N] == large_N[is_in_N]).all()


def test_a_coverage_of_zero_assigns_nobody():
    ranges = bucket_ranges([0.5, 0.5], coverage=0)
    assert (choose_arms(buckets("exp1", [f"u{number}" for number in range(5_000)]), ranges) == -1).all()


def test_arms_of_many_buckets_equal_the_arm_of_each():
    bucket_N = buckets("exp1", [f"u{number}" for number in range(500)])
    ranges = bucket_ranges([0.2, 0.3, 0.5], coverage=0.8)
    expected = [choose_arm(value, ranges) for value in bucket_N.tolist()]
    assert choose_arms(bucket_N, ranges).tolist() == [-1 if arm is None else arm for arm in expected]


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(InputError, match="weights are positive and sum to 1"):
        bucket_ranges([0.5, 0.6])
