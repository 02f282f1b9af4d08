"""Ranker networks: what was planted is learned, nothing where nothing was; few users learn from those of other scenarios."""

import numpy as np
import pytest
import torch

from redrec.index.ranker import FEATURES, Networks
from redrec.training.ranker_networks import MIN_USERS, Observed, fit_networks, mean_of, temperature

NUM_CONTENDERS = 30
AGE = FEATURES.index("age")


def random_features(num_users: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_users, NUM_CONTENDERS, len(FEATURES))).astype(np.float32)


def observed(num_users: int, age_power: float, seed: int = 0) -> Observed:
    """Each user chooses a contender by its score, and with a power above 0 one of middle age, below 0 a new or an old one."""
    features_UCF, rng = random_features(num_users, seed), np.random.default_rng(2)
    chance_UC = np.exp(0.5 * features_UCF[..., 0] - age_power * features_UCF[..., AGE] ** 2)
    share_UC = np.zeros(chance_UC.shape, np.float32)
    for share_C, chance_C in zip(share_UC, chance_UC, strict=True):
        share_C[rng.choice(len(chance_C), p=chance_C / chance_C.sum())] = 1
    return Observed(*map(torch.from_numpy, (features_UCF, np.ones(chance_UC.shape, bool), share_UC)))


def best_of_others(networks: Networks, scenario: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the features of other users' contenders, and which five of them are best."""
    others_UCF = random_features(num_users=200, seed=1)
    return [(features_CF, np.argsort(-networks.logits(features_CF, scenario))[:5]) for features_CF in others_UCF]


def share_of_middle_age(networks: Networks, scenario: int) -> float:
    """Return the share of middle age among the best; of all contenders it is .45."""
    ages = [features_CF[best, AGE] for features_CF, best in best_of_others(networks, scenario)]
    return float((np.abs(ages) < 0.6).mean())


def agreement_with_score(networks: Networks) -> float:
    """Return how much of the best is also best by score."""
    of_users = best_of_others(networks, 0)
    common = [np.intersect1d(best, np.argsort(-features_CF[:, 0])[:5]) for features_CF, best in of_users]
    return float(np.mean([len(both) / 5 for both in common]))


@pytest.mark.parametrize("is_planted", [True, False])
def test_items_of_middle_age_are_learned_where_users_choose_them(is_planted):
    """Neither the score nor a line of the age finds them; without them the order of the score stays."""
    networks = fit_networks([observed(400, age_power=3.0 if is_planted else 0.0)], seed=0)
    if is_planted:
        assert share_of_middle_age(networks, 0) > 0.75
        assert agreement_with_score(networks) < 0.7
    else:
        assert share_of_middle_age(networks, 0) < 0.6
        assert agreement_with_score(networks) > 0.8


@pytest.mark.parametrize("is_planted", [True, False])
def test_few_users_learn_from_those_of_another_scenario(is_planted):
    few, many = observed(MIN_USERS, age_power=1.5, seed=3), observed(800, age_power=1.5 if is_planted else 0.0)
    alone = share_of_middle_age(fit_networks([few], seed=0), 0)
    together = share_of_middle_age(fit_networks([few, many], seed=0), 0)
    assert together - alone > 0.1 if is_planted else together - alone < 0.05


def test_a_scenario_with_too_few_users_keeps_the_network_of_all():
    networks = fit_networks([observed(MIN_USERS - 1, age_power=0.0, seed=3), observed(400, age_power=3.0)], seed=0)
    assert share_of_middle_age(networks, 0) > 0.75


def test_a_scenario_without_a_user_has_a_network_too():
    networks = fit_networks([observed(400, age_power=3.0), observed(0, age_power=0.0)], seed=0)
    assert share_of_middle_age(networks, 1) > 0.75


def test_scenarios_whose_users_choose_otherwise_are_told_apart():
    networks = fit_networks([observed(400, age_power=3.0), observed(400, age_power=-0.5, seed=3)], seed=0)
    assert share_of_middle_age(networks, 0) > 0.7
    assert share_of_middle_age(networks, 1) < 0.3


def test_the_mean_of_networks_has_the_mean_of_their_logits():
    num_features, num_hidden, rng = len(FEATURES), 4, np.random.default_rng(0)
    mean_F, deviation_F, features_CF = (
        rng.normal(size=num_features),
        rng.random(num_features) + 0.5,
        random_features(1, 1)[0],
    )
    sizes = (num_features, (num_features, num_hidden), num_hidden, num_hidden)
    networks = [Networks(mean_F, deviation_F, *(rng.normal(size=size) for size in sizes)) for _ in range(2)]
    of_mean, *of_each = (
        Networks(*(values[None] for values in network)).logits(features_CF, 0)
        for network in (mean_of(networks), *networks)
    )
    np.testing.assert_allclose(of_mean, np.mean(of_each, axis=0), rtol=1e-6)


def test_the_temperature_is_that_of_the_choices():
    assert temperature(observed(400, age_power=0.0)) == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_gives_the_same_networks():
    scenarios = [observed(100, age_power=3.0), observed(60, age_power=0.0, seed=3)]
    first, again = (fit_networks(scenarios, seed=0) for _ in range(2))
    for values, expected in zip(first, again, strict=True):
        np.testing.assert_array_equal(values, expected)
