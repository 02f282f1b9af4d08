"""Cases: their targets, what is known before them, and the slices of users."""

import numpy as np

from redrec.data.histories import TEST, VALIDATION, Histories
from redrec.evaluation.cases import SLICES, cases_of, slice_of, without_scenario
from tests.data.logs import EVENTS, histories_of

# One user: ads i0 i1 | i2 | i3, feed i5 i6 | i7; the test event of ads comes before the training event i5 of feed.
PER_SCENARIO = [("a", f"i{n}", "ads" if n < 5 else "feed", hour) for hour, n in enumerate([0, 1, 2, 3, 5, 6, 7])]


def items_known(histories: Histories, scenario: int, split: int) -> list[int]:
    (case,) = cases_of(histories, scenario, split, num_targets=5, max_users=9, seed=0)
    return case.known(histories).item_L.tolist()


def test_a_case_knows_nothing_at_or_after_its_targets_and_nothing_held_out_elsewhere(tmp_path):
    histories = histories_of(tmp_path, PER_SCENARIO, split="leave_last_out_per_scenario", has_validation=True)
    ads, feed = 0, 1
    assert (items_known(histories, ads, VALIDATION), items_known(histories, ads, TEST)) == ([0, 1], [0, 1, 2])
    assert items_known(histories, feed, VALIDATION) == [0, 1, 5]
    assert items_known(histories, feed, TEST) == [0, 1, 2, 5, 6]  # i3, the test event of ads, came before


def test_every_case_of_every_split_knows_only_what_came_before(tmp_path):
    rng = np.random.default_rng(0)
    events = [(f"u{rng.integers(20)}", f"i{rng.integers(10)}", ("ads", "feed")[rng.integers(2)], n) for n in range(400)]
    for policy in ("global_time", "leave_last_out", "leave_last_out_per_scenario"):
        folder = tmp_path / policy
        folder.mkdir()
        histories = histories_of(folder, events, split=policy, has_validation=True, test_share=0.2)
        num_cases = 0
        for scenario, split in [(0, VALIDATION), (1, VALIDATION), (0, TEST), (1, TEST)]:
            held_out_ms = histories.timestamp_ms_N[histories.split_N >= split]  # no two events are at the same time
            for case in cases_of(histories, scenario, split, num_targets=3, max_users=99, seed=0):
                known_ms = case.known(histories).timestamp_ms_L
                assert len(known_ms) > 0 and known_ms.max() < histories.timestamp_ms_N[case.end]
                assert not np.isin(known_ms, held_out_ms).any()
                num_cases += 1
        assert num_cases > 20


def test_targets_are_the_first_distinct_items_of_the_scenario(tmp_path):
    events = [("a", f"i{item}", "ads" if n < 50 else "feed", n) for n, item in enumerate([0] * 8)]
    events += [("a", f"i{item}", "ads", 100 + n) for n, item in enumerate([4, 4, 3, 2])]
    histories = histories_of(tmp_path, events, test_share=0.3)
    (case,) = cases_of(histories, 0, TEST, num_targets=2, max_users=9, seed=0)
    assert case.target_T.tolist() == [4, 3]


def test_users_above_the_limit_are_left_out_by_the_seed_alone(tmp_path):
    events = []
    for user in range(9):
        events += [(f"u{user}", f"i{n}", "ads", 10 * n + user) for n in range(4)]
    histories = histories_of(tmp_path, events, split="leave_last_out")

    def users(max_users: int) -> list[int]:
        return [case.user for case in cases_of(histories, 0, TEST, 5, max_users, seed=3)]

    all_users, few, again = users(99), users(4), users(4)
    assert sorted(all_users) == list(range(9))
    assert few == again == all_users[:4]


def test_a_user_without_known_events_is_no_case(tmp_path):
    histories = histories_of(tmp_path, [*EVENTS, ("new", "i1", "ads", 200)], test_share=0.3)
    users = [histories.user_ids[case.user] for case in cases_of(histories, 0, TEST, 5, 99, seed=0)]
    assert "new" in histories.user_ids and "new" not in users


def test_every_user_is_in_one_slice():
    num_known_U = np.random.default_rng(0).integers(0, 40, size=500)
    slice_U = slice_of(num_known_U)
    cold, light, heavy = (num_known_U[slice_U == index] for index in range(len(SLICES)))
    assert cold.max() < 5 <= light.min() and light.max() < heavy.min()
    assert abs(len(light) - len(heavy)) < 0.1 * len(num_known_U)


def test_all_users_may_be_cold():
    assert slice_of(np.array([0, 1, 2])).tolist() == [0, 0, 0]


def test_removing_a_scenario_leaves_the_others_in_order(tmp_path):
    histories = histories_of(tmp_path, PER_SCENARIO)
    history = without_scenario(histories.train_of(0), 1)
    assert history.item_L.tolist() == [0, 1, 2, 3]
