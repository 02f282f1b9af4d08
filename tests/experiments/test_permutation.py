"""Permutation: few users in uneven arms, where the normal approximation alarms too often."""

import numpy as np
from scipy import stats

from redrec.experiments.permutation import Question, UserTotals, permuted_statistics
from redrec.experiments.plan import Metric

EVENTS = ("click", "impression")
CLICKS = Metric(event="click")
RATE = Metric(event="click", per="impression")


def users(seed: int, effect: float = 0.0, num_users: int = 300, share: float = 0.1) -> UserTotals:
    rng = np.random.default_rng(seed)
    arm_U = (rng.random(num_users) < share).astype(int)
    impression_U = rng.poisson(20, num_users) + 1
    click_U = impression_U * rng.lognormal(-2, 1.5, num_users) * (1 + effect * arm_U)
    return UserTotals(arm_U, np.stack([click_U, impression_U], axis=1).astype(float))


def statistic(of_users: UserTotals, metric: Metric, margin: float = 0.0) -> float:
    return permuted_statistics(of_users, EVENTS, [Question(metric, margin=margin)])[0]


def test_the_level_holds_for_heavy_tails_and_a_small_arm():
    statistics = [statistic(users(seed), RATE) for seed in range(200)]
    assert np.mean(np.array(statistics) < stats.norm.ppf(0.025)) < 0.05
    assert stats.kstest(stats.norm.cdf(statistics), "uniform").pvalue > 0.01


def test_a_planted_effect_is_found_in_its_direction():
    many = users(0, effect=4.0, num_users=900, share=0.4)
    assert statistic(many, CLICKS) > 3
    assert statistic(many, Metric(event="click", direction="down")) < -3


def test_the_margin_moves_the_hypothesis():
    same = users(1, num_users=900, share=0.5)
    assert statistic(same, RATE, margin=0.6) > statistic(same, RATE) + 1


def test_a_covariate_narrows_the_error_and_keeps_the_level():
    before, covariate = (*EVENTS, "click before"), Metric(event="click before")

    def with_and_without(seed: int, effect: float) -> list[float]:
        of_users = users(seed, effect, num_users=600, share=0.5)
        clicks_U = of_users.total_UE[:, 0] / (1 + effect * of_users.arm_U)
        before_U = clicks_U * np.random.default_rng(seed).lognormal(0, 0.3, len(clicks_U))
        of_users = of_users._replace(total_UE=np.column_stack([of_users.total_UE, before_U]))
        return permuted_statistics(of_users, before, [Question(CLICKS, covariate), Question(CLICKS)])

    planted = np.array([with_and_without(seed, 0.3) for seed in range(10)]).mean(0)
    assert planted[0] > planted[1] + 0.5
    nothing = [with_and_without(seed, 0.0)[0] for seed in range(100)]
    assert stats.kstest(stats.norm.cdf(nothing), "uniform").pvalue > 0.01


def test_the_same_users_give_the_same_statistic():
    assert statistic(users(3), RATE) == statistic(users(3), RATE)


def test_questions_together_have_the_answers_that_each_has_alone():
    together = permuted_statistics(users(3), EVENTS, [Question(RATE), Question(CLICKS, margin=0.2)])
    assert together == [statistic(users(3), RATE), statistic(users(3), CLICKS, 0.2)]
