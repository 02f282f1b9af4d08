"""Ranker fit: what was planted is learned, and nothing where nothing was."""

import numpy as np
import pytest

from redrec.data.histories import VALIDATION, Histories, first_ms
from redrec.evaluation.cases import EvaluationConfig
from redrec.evaluation.contenders import with_ranker
from redrec.training.ranker_fit import fit_ranker
from redrec.training.ranker_networks import MIN_USERS
from tests.data.logs import histories_of
from tests.evaluation.planted import NUM_ITEMS, hit_rate, random_scorer, repeating_log

TARGETS = EvaluationConfig(num_targets=3)


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
