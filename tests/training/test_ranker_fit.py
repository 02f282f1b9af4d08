"""Ranker fit: what was planted is learned, and nothing where nothing was."""

import numpy as np
import pytest
import torch

from redrec.data.histories import VALIDATION, Histories, first_ms
from redrec.evaluation.cases import EvaluationConfig
from redrec.evaluation.contenders import with_ranker
from redrec.index.ranker import FEATURES, Networks
from redrec.training.ranker_fit import MIN_USERS, Observed, fit_network, fit_ranker, temperature
from tests.data.logs import histories_of
from tests.evaluation.planted import NUM_ITEMS, hit_rate, random_scorer, repeating_log

NUM_USERS, NUM_CONTENDERS = 400, 30
AGE = FEATURES.index("age")
TARGETS = EvaluationConfig(num_targets=3)


def observed(chance_UC: np.ndarray, features_UCF: np.ndarray) -> Observed:
    """Each user chooses one of her contenders by its chance."""
    rng = np.random.default_rng(2)
    share_UC = np.zeros(chance_UC.shape, np.float32)
    for share_C, chance_C in zip(share_UC, chance_UC, strict=True):
        share_C[rng.choice(len(chance_C), p=chance_C / chance_C.sum())] = 1
    is_contender_UC = np.ones(chance_UC.shape, bool)
    return Observed(*map(torch.from_numpy, (features_UCF, is_contender_UC, share_UC)))


def random_features(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(NUM_USERS, NUM_CONTENDERS, len(FEATURES))).astype(np.float32)


@pytest.mark.parametrize("is_planted", [True, False])
def test_items_of_middle_age_are_learned_where_users_choose_them(is_planted):
    """Neither the score nor a line of the age finds them; without them the order of the score stays."""
    features_UCF = random_features(seed=0)
    score_UC, age_UC = features_UCF[..., 0], features_UCF[..., AGE]
    of_middle_age_UC = np.exp(-3 * age_UC**2) if is_planted else np.ones_like(age_UC)
    networks = fit_network(observed(np.exp(0.5 * score_UC) * of_middle_age_UC, features_UCF), seed=0)
    others_UCF, batch = random_features(seed=1), Networks(*(values[None] for values in networks))
    agreement, middle = [], []
    for features_CF in others_UCF[:100]:
        best, by_score = np.argsort(-batch.logits(features_CF, 0))[:5], np.argsort(-features_CF[:, 0])[:5]
        agreement.append(len(np.intersect1d(best, by_score)) / 5)
        middle.append((np.abs(features_CF[best, AGE]) < 0.6).mean())
    if is_planted:
        assert np.mean(middle) > 0.75  # of all items .45 are
        assert np.mean(agreement) < 0.7
    else:
        assert np.mean(middle) < 0.6
        assert np.mean(agreement) > 0.8


def test_the_temperature_is_that_of_the_choices():
    features_UCF = random_features(seed=0)
    assert temperature(observed(np.exp(0.5 * features_UCF[..., 0]), features_UCF)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("is_planted", [True, False])
def test_the_ranker_finds_repeats_where_they_were_planted_and_nothing_else(tmp_path, is_planted):
    data = repeating_log(tmp_path, is_planted)
    ranker = fit_ranker(random_scorer(), data, TARGETS, num_contenders=150, logit_scale=10.0, seed=0)
    histories = Histories(data)
    gain = hit_rate(with_ranker(random_scorer(), ranker), histories) - hit_rate(random_scorer(), histories)
    assert gain > 0.4 if is_planted else abs(gain) < 0.15


@pytest.mark.parametrize(("num_users", "num_contenders", "fitted"), [(MIN_USERS - 1, 9, 0), (60, 9, 9), (60, 0, 0)])
def test_without_enough_users_or_without_contenders_nothing_is_ranked(tmp_path, num_users, num_contenders, fitted):
    events = [(f"u{user}", f"i{n}", "ads", n) for user in range(num_users) for n in range(9)]
    histories = histories_of(tmp_path, events, has_validation=True)
    ranker = fit_ranker(random_scorer(), tmp_path / "data", TARGETS, num_contenders, logit_scale=10.0, seed=0)
    assert ranker.num_contenders == fitted
    assert ranker.first_ms_N.tolist() == first_ms(histories, len(ranker.first_ms_N), VALIDATION).tolist()


def test_the_same_seed_gives_the_same_ranker(tmp_path):
    data = repeating_log(tmp_path, is_planted=True)
    first, again = (fit_ranker(random_scorer(), data, TARGETS, 60, 10.0, seed=0) for _ in range(2))
    for values, expected in zip(first.networks, again.networks, strict=True):
        np.testing.assert_array_equal(values, expected)
    assert len(first.first_ms_N) == NUM_ITEMS
