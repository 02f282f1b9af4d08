"""Scorers: boosts retrieve what became popular before the query and what users come back to, if either is so."""

import numpy as np
import pytest

from redrec.data.histories import TEST, Histories
from redrec.evaluation.cases import cases_of
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import with_boosts
from redrec.model.boosts import BoostConfig, configured
from tests.evaluation.planted import ALLOWED, NUM_ITEMS, hit_rate, log_of, random_scorer, repeating_log


@pytest.mark.parametrize(("is_planted", "least", "most"), [(True, 0.4, 0.6), (False, 0.0, 0.1)])
def test_the_boost_retrieves_newly_popular_items_if_they_were_planted(tmp_path, is_planted, least, most):
    histories = Histories(log_of(tmp_path, is_planted))
    popularity, weights = Popularity(histories, ALLOWED), configured(BoostConfig(popularity=1.0))
    boosted = with_boosts(random_scorer(), popularity, [weights], logit_scale=1.0)
    assert hit_rate(random_scorer(), histories) < 0.1
    assert least <= hit_rate(boosted, histories) <= most


@pytest.mark.parametrize(("is_planted", "least", "most"), [(True, 0.95, 1.0), (False, 0.0, 0.2)])
def test_the_boost_of_own_items_retrieves_them_if_users_come_back(tmp_path, is_planted, least, most):
    histories = Histories(repeating_log(tmp_path, is_planted))
    weights = configured(BoostConfig(popularity=0.0, own=5.0))
    boosted = with_boosts(random_scorer(), Popularity(histories, ALLOWED), [weights], logit_scale=1.0)
    assert least <= hit_rate(boosted, histories) <= most
    assert hit_rate(random_scorer(), histories) < 0.2


def test_own_items_outside_the_catalog_of_a_scenario_are_no_candidates(tmp_path):
    histories = Histories(repeating_log(tmp_path, True))
    weights, nothing = configured(BoostConfig(own=5.0)), np.full((1, NUM_ITEMS), False)
    boosted = with_boosts(random_scorer(), Popularity(histories, nothing), [weights], logit_scale=1.0)
    cases = cases_of(histories, 0, TEST, num_targets=3, max_users=9, seed=0)
    assert (rank_cases(boosted, histories, cases, 0, nothing[0]).rank_UT <= 1).all()  # there is nothing else
