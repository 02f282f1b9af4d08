"""Profile: counts of values and infinities by window, one value only, and values far from all before."""

import ibis
import numpy as np

from redrec.drift.measures import IS_CURRENT
from redrec.drift.profile import profiles


def test_a_profile_says_what_is_true_without_a_test():
    events = ibis.memtable(
        {
            IS_CURRENT: [False] * 4 + [True] * 4,
            "score": [0.0, 1.0, np.inf, 0.5, 0.2, 3.0, -3.0, np.inf],
            "action": ["like", None, "like", "like", "like", "like", "like", "like"],
        }
    )
    seen = profiles(events, {"score": "numeric", "action": "categorical"})
    assert seen["score"].num_infinite == (1, 1)
    assert seen["score"].share_far == 2 / 3  # of the finite ones, outside -1..2
    assert seen["action"].num_values == (3, 4)
    assert seen["action"].is_constant and not seen["score"].is_constant


def test_a_window_without_values_has_none():
    events = ibis.memtable({IS_CURRENT: [True, True], "score": [1.0, 2.0]})
    profile = profiles(events, {"score": "numeric"})["score"]
    assert (profile.num_values, profile.share_far) == ((0, 2), 0.0)
