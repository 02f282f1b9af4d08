"""Assignment against GrowthBook's values: buckets, arms, and growing coverage."""

import numpy as np
import pytest
from scipy import stats

from redrec.config import InputError
from redrec.experiments.assignment import (
    arm_of,
    arms_of,
    bucket,
    bucket_ranges,
    buckets,
    choose_arm,
    choose_arms,
    namespace_bucket,
    namespace_buckets,
)
from redrec.experiments.plan import Namespace
from tests.experiments import golden
from tests.experiments.logs import planned


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


def test_a_plan_gives_each_user_an_arm_per_scenario_or_one_for_all():
    user_ids = [f"u{number}" for number in range(2_000)]
    single, shared = planned(), planned(applies="shared")
    assert 0.4 < (arms_of(single, "ads", user_ids) == arms_of(single, "search", user_ids)).mean() < 0.6
    assert (arms_of(shared, "ads", user_ids) == arms_of(shared, "search", user_ids)).all()


@pytest.mark.parametrize("namespace", [None, Namespace(name="retrieval", low=0.2, high=0.7)])
def test_arms_of_many_users_equal_the_arm_of_each(namespace):
    plan, user_ids = planned(coverage=0.6, namespace=namespace), [f"u{number}" for number in range(500)]
    arms = [arm_of(plan, "ads", user_id) for user_id in user_ids]
    assert arms_of(plan, "ads", user_ids).tolist() == [-1 if arm is None else plan.arms.index(arm) for arm in arms]
    assert {None, *plan.arms} == set(arms)


def test_disjoint_ranges_of_a_namespace_share_no_user():
    user_ids = [f"u{number}" for number in range(20_000)]
    low, high = (Namespace(name="retrieval", low=low, high=low + 0.5) for low in (0.0, 0.5))
    is_in_low_N = arms_of(planned(namespace=low), "ads", user_ids) >= 0
    is_in_high_N = arms_of(planned(experiment="other", namespace=high), "ads", user_ids) >= 0
    assert not (is_in_low_N & is_in_high_N).any()
    assert (is_in_low_N | is_in_high_N).all()


def test_namespace_buckets_equal_the_growthbook_sdk():
    """`gbhash("__" + namespace, user, 1)` of growthbook 1.3.1."""
    expected = {"u1": 0.255, "u2": 0.2, "someone@example.com": 0.652}
    assert {value: namespace_bucket("retrieval", value) for value in expected} == expected
    assert namespace_buckets("retrieval", list(expected)).tolist() == list(expected.values())


@pytest.mark.parametrize("seed", golden.SEEDS)
def test_twenty_thousand_buckets_equal_those_of_growthbooks_sdk(seed):
    steps = np.round(10_000 * buckets(seed, golden.ids())).astype(int).tolist()
    assert golden.digest(steps) == golden.values()["growthbook"][seed]


def test_twenty_thousand_namespace_buckets_equal_those_of_growthbooks_sdk():
    steps = np.round(1000 * namespace_buckets("retrieval", golden.ids())).astype(int).tolist()
    assert golden.digest(steps) == golden.values()["growthbook"]["namespace"]
