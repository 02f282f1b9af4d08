"""Baselines against hand arithmetic, and popular items that the scenario may show."""

import numpy as np
import pytest

from redrec.evaluation.baselines import mean_of_last_n, popular_items, popularity
from redrec.history import History
from tests.data.test_histories import EVENTS, histories_of


def history_of(items: list[int]) -> History:
    zeros_L = np.zeros(len(items), dtype=np.int64)
    return History(np.array(items, dtype=np.int64), zeros_L, zeros_L, zeros_L)


def test_popularity_scores_an_item_by_its_events_in_the_queried_scenario():
    scorer = popularity(np.array([[5, 0, 2], [1, 7, 0]]))
    interests_BQD = scorer.interests_of([history_of([0]), history_of([])], 1, np.zeros(2, dtype=np.int64))
    assert (interests_BQD[:, 0] @ scorer.embeddings_ND.T).tolist() == [[1, 7, 0]] * 2


def test_the_mean_of_the_newest_events_decays_by_age():
    scorer = mean_of_last_n(np.eye(12, dtype=np.float32))
    interests_BQD = scorer.interests_of([history_of([3, 5]), history_of([])], 0, np.zeros(2, dtype=np.int64))
    assert interests_BQD[0, 0, [3, 5]] == pytest.approx([0.8 / 1.8, 1 / 1.8])
    assert not interests_BQD[1].any()


def test_only_the_newest_ten_events_enter_the_mean():
    scorer = mean_of_last_n(np.eye(12, dtype=np.float32))
    interest_D = scorer.interests_of([history_of(list(range(12)))], 0, np.zeros(1, dtype=np.int64))[0, 0]
    assert np.flatnonzero(interest_D).tolist() == list(range(2, 12))


def test_popular_items_are_the_most_frequent_training_items_of_each_scenario(tmp_path):
    histories_of(tmp_path, [*EVENTS, ("c", "i4", "ads", 2), ("c", "i4", "ads", 3)], test_share=0.1)
    popular = popular_items(tmp_path / "data", 3)
    assert set(popular) == {"ads", "feed"}
    assert popular["ads"][0] == 4 and len(popular["ads"]) == 3
