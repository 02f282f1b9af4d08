"""Validation: a planted scorer gets its known score, from validation targets alone; data without them is refused."""

import numpy as np
import pytest
from pydantic import ValidationError

from redrec.config import InputError
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import EvaluationConfig
from redrec.evaluation.scorers import Scorer
from redrec.evaluation.validation import Validation, ValidationConfig
from tests.data.test_histories import histories_of

# In ads the validation item of each user is i7 and the test item i8; in feed i3 and i4.
EVENTS = []
for user in range(6):
    EVENTS += [(f"u{user}", f"i{n}", "ads", n) for n in (6, 7, 8)]
    EVENTS += [(f"u{user}", f"i{n}", "feed", n) for n in (2, 3, 4)]


def likes(item_of_scenario: dict[int, int]) -> Scorer:
    """Items are axes, and a user's only interest is one item of the queried scenario."""
    return Scorer(
        lambda histories, s, moment_ms_B: np.tile(np.eye(10)[item_of_scenario[s]], (len(histories), 1, 1)), np.eye(10)
    )


def validation_of(tmp_path, excludes_seen: bool = False, **config):
    data = tmp_path / "data"
    vocabulary, evaluation = read_vocabulary(data), EvaluationConfig(num_targets=5)
    return Validation(
        data, vocabulary, ValidationConfig(**config), evaluation, np.zeros(2), [excludes_seen] * 2, seed=0
    )


def test_the_score_is_the_mean_over_scenarios_on_validation_targets(tmp_path):
    histories_of(tmp_path, EVENTS, split="leave_last_out_per_scenario", has_validation=True)
    validation = validation_of(tmp_path)
    last = 1 / np.log2(1 + 9)  # i7 in ads, where i8 is first and all others tie: i0 .. i6 rank above it
    assert validation.score(likes({0: 7, 1: 3}), 1.0) == 1
    assert validation.score(likes({0: 8, 1: 3}), 1.0) == pytest.approx((1 + last) / 2)


def test_the_metric_is_the_configured_one(tmp_path):
    histories_of(tmp_path, EVENTS, split="leave_last_out_per_scenario", has_validation=True)
    assert validation_of(tmp_path, metric="hit_rate@8").score(likes({0: 8, 1: 3}), 1.0) == 0.5  # i7 is ninth in ads
    assert validation_of(tmp_path, metric="hit_rate@9").score(likes({0: 8, 1: 3}), 1.0) == 1


def test_what_a_user_has_had_is_left_out_where_training_did_so(tmp_path):
    histories_of(tmp_path, EVENTS, split="leave_last_out_per_scenario", has_validation=True)
    shown, left_out = (validation_of(tmp_path, is_out, metric="hit_rate@1") for is_out in (False, True))
    likes_the_event_before = likes({0: 6, 1: 2})
    assert shown.score(likes_the_event_before, 1.0) == 0
    assert validation_of(tmp_path, True, metric="hit_rate@9").score(likes_the_event_before, 1.0) == 1
    assert left_out.score(likes({0: 7, 1: 3}), 1.0) == 1


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValidationError, match="metric"):
        ValidationConfig(metric="accuracy")


def test_data_without_validation_events_is_refused(tmp_path):
    histories_of(tmp_path, EVENTS, split="leave_last_out_per_scenario", has_validation=False)
    with pytest.raises(InputError, match="Set data.has_validation"):
        validation_of(tmp_path)
