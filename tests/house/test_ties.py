"""The benchmarks' care for ties: a random order inside days, and no target on the day of the event before it."""

import numpy as np
import pandas as pd

from redrec.data.histories import TEST
from redrec.evaluation.cases import cases_of
from redrec.history import MS_PER_DAY, History
from tests.benchmarks.quality.next_ids import next_ids
from tests.benchmarks.quality.ties import in_random_days, without_ties
from tests.data.logs import histories_of


def test_only_the_order_inside_a_users_day_changes():
    days = [n // 10 for n in range(1000)]
    table = {"user_id": ["a", "b"] * 500, "item_id": list(range(1000)), "timestamp": np.array(days) * MS_PER_DAY}
    events = pd.DataFrame(table | {"timestamp": table["timestamp"] + np.arange(1000) % 10})

    shuffled = in_random_days(events, seed=0)

    assert (shuffled["timestamp"] // MS_PER_DAY).tolist() == days
    assert not shuffled.duplicated(["user_id", "timestamp"]).any()
    in_order = shuffled.sort_values(["user_id", "timestamp"])
    ascending = in_order.groupby(["user_id", in_order["timestamp"] // MS_PER_DAY])["item_id"].diff().dropna() > 0
    assert 0.4 < ascending.mean() < 0.6


def test_a_target_on_the_day_of_the_event_before_it_is_left_out(tmp_path):
    """Of a, the feed's target is two hours after an event of ads and two days after one of the feed; b's has no tie."""
    events = [("a", "i0", "feed", 0), ("a", "i1", "ads", 48), ("a", "i2", "feed", 50)]
    events += [("b", "i3", "feed", 0), ("b", "i4", "feed", 24), ("c", "i5", "feed", 0), ("c", "i6", "feed", 23)]
    histories = histories_of(tmp_path, events, split="leave_last_out_per_scenario")
    cases = cases_of(histories, 0, TEST, num_targets=1, max_users=9, seed=0)

    def users(scenarios: list[int]) -> set[str]:
        return {histories.user_ids[case.user] for case in without_ties(cases, histories, scenarios)}

    assert (users([0]), users([0, 1])) == ({"a", "b"}, {"b"})


def test_the_next_ids_are_those_after_the_last_item_of_the_scenario():
    allowed_SN = np.full((2, 500), True)
    allowed_SN[0, 1::2] = False
    scorer = next_ids(allowed_SN)
    history = History(np.array([10, 491, 7]), np.zeros(3, int), np.array([0, 0, 1]), np.arange(3))
    for scenario, expected in ((0, [492, 494, 496, 498, 0, 2, 4, 6, 8, 10]), (1, list(range(8, 18)))):
        scores_N = (scorer.interests_of([history], scenario, np.zeros(1))[0] @ scorer.embeddings_ND.T).max(0)
        assert np.argsort(-scores_N)[:10].tolist() == expected
