"""Baselines against hand arithmetic, and popular items that the scenario may show."""

import numpy as np
import pytest

from redrec.data.histories import TEST
from redrec.evaluation.baselines import mean_of_last_n, own_counts, popular_items, popularity, recent_popularity
from redrec.evaluation.cases import cases_of
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import rank_cases
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


def test_own_counts_rank_by_the_scenario_then_by_all_then_by_recent_popularity(tmp_path):
    """User a had i1 twice in ads, i2 once there and i3 twice in the feed; i5 is popular in ads, i6 less."""
    own = [
        ("i1", "ads", 1),
        ("i1", "ads", 2),
        ("i2", "ads", 3),
        ("i3", "feed", 4),
        ("i3", "feed", 5),
        ("i4", "feed", 6),
    ]
    others = [(f"u{n}", "i5" if n % 3 else "i6", "ads", 7 + n) for n in range(9)]
    ranked = ["i1", "i2", "i3", "i4", "i5", "i6"]
    targets = [("a", item, "ads", 1000 + n) for n, item in enumerate(ranked)]
    events = [("a", item, scenario, hour) for item, scenario, hour in own] + others + targets
    histories = histories_of(tmp_path, events, test_share=len(targets) / len(events), has_validation=False)
    scenario = 0  # ads, the most frequent
    (case,) = cases_of(histories, scenario, TEST, num_targets=9, max_users=9, seed=0)
    recent = Popularity(histories, np.full((2, 10), True))
    ranks = {
        scorer.__name__: rank_cases(scorer(recent), histories, [case], scenario, np.full(10, True)).rank_UT[0].tolist()
        for scorer in (own_counts, recent_popularity)
    }
    assert ranks["own_counts"] == [1, 2, 3, 4, 5, 6]
    assert ranks["recent_popularity"][4:] == [1, 2]
