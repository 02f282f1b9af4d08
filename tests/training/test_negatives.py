"""Negatives: an item is drawn as often as the draw claims, and new items are none."""

import numpy as np

from redrec.training.negatives import Proposal, candidates

NUM_ITEMS = 300


def test_the_draw_has_the_counts_it_claims():
    """Mean count of each item over many draws against exp(log_count), within five standard errors."""
    counts_N = np.random.default_rng(0).poisson(3, NUM_ITEMS)
    proposal = Proposal(counts_N, counts_N > 0, np.zeros(NUM_ITEMS), 120, 120, max_full_catalog=0)
    num_draws = 400
    draws = [proposal.draw(np.random.default_rng(n), num_processes=1)[0] for n in range(num_draws)]
    seen_N = np.bincount(np.concatenate(draws), minlength=NUM_ITEMS) / num_draws
    expected_N = np.zeros(NUM_ITEMS)
    expected_N[proposal.candidates] = np.exp(proposal.log_count)
    assert (np.abs(seen_N - expected_N) < 5 * np.sqrt(expected_N / num_draws) + 1e-6).all()


def test_a_scenario_that_nothing_is_known_of_has_negatives_too():
    proposal = Proposal(np.zeros(9, np.int64), np.arange(9) < 6, np.zeros(9), 256, 256, max_full_catalog=0)
    item_N, log_count_N = proposal.draw(np.random.default_rng(0), num_processes=1)
    assert set(item_N) == set(range(6))
    assert np.allclose(np.exp(log_count_N), len(item_N) / 6)


def test_an_item_without_training_events_is_no_negative_unless_the_scenario_has_no_other():
    counts_SN = np.array([[0, 2, 0, 0], [1, 0, 0, 0]])  # items 2 and 3 are new
    allowed_SN = np.array([[True, True, True, False], [False, False, True, True]])
    assert candidates(counts_SN, allowed_SN).tolist() == [[True, True, False, False], [False, False, True, True]]
