"""Boosts: which items are boosted and by how much."""

import numpy as np
import pytest

from redrec.index import popularity_boost
from redrec.index.popularity_boost import daily_rates, popularity_lifts

EVERYWHERE = np.full(6, True)


def test_an_event_of_yesterday_counts_more_than_one_of_last_week():
    counts_AW = np.triu(np.ones((5, 4), dtype=int))  # one event, in all windows, all but the first, ..., none
    rate_A = daily_rates(counts_AW.T)
    assert (np.diff(rate_A) < 0).all()
    assert rate_A[-1] == 0


def test_items_without_recent_events_have_no_boost():
    boost_N = popularity_lifts(np.array([0.0, 3.0, 0.0, 1.0, 0.0, 0.0]), EVERYWHERE)
    assert np.flatnonzero(boost_N).tolist() == [1, 3]
    assert boost_N[1] > boost_N[3]
    assert not popularity_lifts(np.zeros(6), EVERYWHERE).any()


def test_items_that_may_not_be_shown_are_neither_boosted_nor_counted():
    rate_N, is_allowed_N = np.array([900.0, 3.0, 0.0, 1.0, 0.0, 0.0]), np.array([False, *[True] * 5])
    boost_N = popularity_lifts(rate_N, is_allowed_N)
    assert boost_N[0] == 0
    np.testing.assert_array_equal(boost_N[1:], popularity_lifts(rate_N[1:], is_allowed_N[1:]))


def test_a_boost_is_the_logarithm_of_the_rate_against_the_mean():
    rate_N = np.array([4.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    assert popularity_lifts(rate_N, EVERYWHERE) == pytest.approx([np.log(5), np.log(3), 0, 0, 0, 0])


def test_the_most_popular_items_are_boosted_by_their_excess_over_the_first_left_out(monkeypatch):
    rate_N = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    all_N = popularity_lifts(rate_N, EVERYWHERE)
    monkeypatch.setattr(popularity_boost, "MAX_BOOSTED", 2)
    assert popularity_lifts(rate_N, EVERYWHERE) == pytest.approx(np.maximum(all_N - all_N[2], 0))
