"""Boosts: what counts as a user's own, and for how much."""

import numpy as np
import pytest

from redrec.history import MS_PER_DAY, History
from redrec.model.boosts import MAX_COUNTED, OWN_COUNTS, BoostConfig, BoostWeights, configured, left_out, own_items

ADS, FEED, NOW_MS = 0, 1, 100 * MS_PER_DAY


def history(rows: list[tuple[int, int, float]]) -> History:
    """Return events of (item, scenario, days ago)."""
    item_L, scenario_L, days_L = (np.array(values) for values in zip(*rows, strict=True))
    times_ms_L = NOW_MS - (days_L * MS_PER_DAY).astype(np.int64)
    return History(item_L, np.zeros_like(item_L), scenario_L, times_ms_L)


def counts(rows: list[tuple[int, int, float]], scenario: int) -> dict[int, list[float]]:
    own = own_items(history(rows), scenario, NOW_MS)
    return dict(zip(own.items_T.tolist(), np.expm1(own.log_counts_TF).tolist(), strict=True))


def test_events_count_in_their_scenario_and_in_all_and_halve_with_every_half_life():
    own = counts([(7, ADS, 60), (7, FEED, 7), (9, FEED, 0)], ADS)
    assert own[7] == pytest.approx([0.5 ** (60 / 7), 0.5, 1, 0.5 + 0.5 ** (60 / 7), 0.5 + 0.5 ** (7 / 60), 2], rel=1e-4)
    assert own[9] == pytest.approx([0, 0, 0, 1, 1, 1])


def test_only_the_newest_events_of_a_scenario_count():
    rows = [(1, FEED, 50.0)] * 9 + [(2, FEED, 40.0)] * MAX_COUNTED + [(3, ADS, 60.0)]
    assert set(counts(rows, ADS)) == {2, 3}
    assert left_out(history(rows)).items_T.tolist() == [2, 3]  # as serving does, whose feature store has no more


def test_an_event_in_the_future_counts_as_now():
    assert counts([(7, ADS, -5.0)], ADS)[7] == pytest.approx([1] * 6)


def test_a_boost_is_the_weighted_sum_of_the_logarithms_in_logits():
    own = own_items(history([(7, ADS, 0), (7, ADS, 0), (9, FEED, 0)]), ADS, NOW_MS)
    weights = BoostWeights(popularity=0, own=(0, 0, 2, 0, 0, 1))
    assert own.boosts(weights, logit_scale=10).boost_T == pytest.approx([3 * np.log(3) / 10, np.log(2) / 10])


def test_a_recipe_gives_the_weight_of_the_plain_count_in_the_scenario():
    weights = configured(BoostConfig(is_fitted=False, popularity=0.5, own=3.0))
    assert weights.popularity == 0.5
    assert [count for count, weight in zip(OWN_COUNTS, weights.own, strict=True) if weight] == [(True, np.inf)]
    assert weights.has_own and not configured(BoostConfig()).has_own
