"""Choice model: planted weights are found, and without choices the prior holds."""

from types import SimpleNamespace

import numpy as np
import pytest

from redrec.evaluation import choice_model
from redrec.evaluation.choice_model import Choices, most_likely

NONE = (0.0, 0.0)


def drawn(weights_F, num_users=3000, num_items=6) -> Choices:
    """Return the choices of users who choose one of some items with the chances of the weights."""
    rng = np.random.default_rng(0)
    features_UCF = rng.normal(size=(num_users, num_items, len(weights_F)))
    logit_UC = features_UCF @ np.array(weights_F)
    chosen_U = (logit_UC + rng.gumbel(size=logit_UC.shape)).argmax(1)
    choices = Choices.of(list(features_UCF), list(np.arange(num_items) == chosen_U[:, None]))
    assert choices is not None
    return choices


def test_the_chances_of_a_user_sum_to_one():
    choices = drawn((1.0, 0.5), num_users=5)
    chance_X = np.exp(choices.log_chances(np.array([1.0, 0.5])))
    assert np.add.reduceat(chance_X, choices.begin_U) == pytest.approx(np.ones(5))


def test_planted_weights_are_found_and_none_is_below_the_least():
    assert most_likely(drawn((1.0, 0.5)), NONE, 2.0, least=NONE) == pytest.approx([1.0, 0.5], abs=0.08)
    assert most_likely(drawn((1.0, -0.5)), NONE, 2.0, least=NONE)[1] == 0.0


def test_a_weight_that_the_optimizer_leaves_just_below_the_least_is_the_least(monkeypatch):
    """As L-BFGS-B does on some processors."""
    below = SimpleNamespace(x=np.array([1.0, -2.8e-16]))
    monkeypatch.setattr(choice_model, "minimize", lambda *args, **kwargs: below)
    assert most_likely(drawn((1.0, -0.5)), NONE, 2.0, least=NONE) == [1.0, 0.0]


def test_the_prior_decides_without_choices_and_where_there_are_few_users():
    no_target = Choices.of([np.ones((4, 2))], [np.zeros(4, bool)])
    assert no_target is None
    assert most_likely(no_target, (0.3, 0.7), 0.1, least=NONE) == [0.3, 0.7]
    few = most_likely(drawn((0.0, 0.0), num_users=3), (0.3, 0.7), 0.01, least=NONE)
    assert few == pytest.approx([0.3, 0.7], abs=0.01)
