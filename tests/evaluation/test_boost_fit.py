"""Boost fit: weights are found where they were planted."""

from functools import partial

import pytest

from redrec.data.histories import Histories
from redrec.evaluation.boost_fit import BoostFit
from redrec.evaluation.cases import EvaluationConfig
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.scorers import with_boosts
from tests.data.logs import histories_of
from tests.evaluation.planted import ALLOWED, hit_rate, log_of, random_scorer, repeating_log


@pytest.mark.parametrize("is_planted", [True, False])
def test_the_fit_finds_repeats_and_popularity_where_they_were_planted_and_nothing_else(tmp_path, is_planted):
    for name, make in (("own", repeating_log), ("popular", partial(log_of, since=60))):
        (tmp_path / name).mkdir()
        data = make(tmp_path / name, is_planted)
        histories = Histories(data)
        popularity = Popularity(histories, ALLOWED)
        weights = BoostFit(random_scorer(), popularity, ["shop"], EvaluationConfig(num_targets=3), 10.0).weights(
            0, False
        )
        boosted = with_boosts(random_scorer(), popularity, [weights], 10.0)
        gain = hit_rate(boosted, histories) - hit_rate(random_scorer(), histories)
        assert gain > 0.3 if is_planted else abs(gain) < 0.15
        if is_planted:
            assert (weights.popularity > sum(weights.own)) == (name == "popular")


def test_a_scenario_without_validation_targets_has_no_boosts(tmp_path):
    histories = histories_of(tmp_path, [("a", f"i{n}", "ads", n) for n in range(9)], has_validation=False)
    popularity = Popularity(histories, ALLOWED)
    weights = BoostFit(random_scorer(), popularity, ["ads"], EvaluationConfig(), 10.0).weights(0, False)
    assert weights.popularity == sum(weights.own) == 0
