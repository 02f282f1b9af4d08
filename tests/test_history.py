"""Mixing and layout: quotas per scenario, time order kept next to the layout, one encoding for all callers."""

import numpy as np

from redrec.history import (
    EventFeatures,
    History,
    HistoryConfig,
    Ints,
    Layout,
    Vocabulary,
    encode_history,
    layout,
    mix,
    tower_inputs,
)

VOCABULARY = Vocabulary(scenarios=("feed", "ads"), actions=("click",))
TWO = HistoryConfig(max_events_per_scenario=2)
MINUTE = 60_000


def history(scenarios: list[int], minutes: list[int]) -> History:
    n = len(scenarios)
    return History(np.arange(n), np.zeros(n, int), np.array(scenarios, int), np.array(minutes, int) * MINUTE)


def kept(events: History, config: HistoryConfig) -> Ints:
    return mix(events, np.zeros_like(events.item_L), config)


def laid_out(events: History, config: HistoryConfig) -> Layout:
    entering = events.at(kept(events, config))
    return layout(entering, np.zeros_like(entering.item_L), config)


def test_quota_2d_keeps_the_newest_of_each_scenario_in_fixed_scenario_order():
    events = history([0, 1, 0, 0, 1, 0], [1, 2, 3, 4, 5, 6])
    assert kept(events, TWO).tolist() == [1, 3, 4, 5]
    assert laid_out(events, TWO).item_L.tolist() == [3, 5, 1, 4]


def test_a_busy_scenario_cannot_push_out_a_sparse_one():
    assert 0 in kept(history([1] + [0] * 50, list(range(51))), TWO)


def test_order_follows_time_position_and_gap_follow_the_scenario():
    events = history([0, 1, 0, 1], [0, 10, 64, 11])
    row = laid_out(events, TWO)
    assert row.scenario_L.tolist() == [0, 0, 1, 1]
    assert row.order_L.tolist() == [0, 2, 1, 3]
    assert row.position_L.tolist() == [0, 1, 0, 1]
    assert row.gap_L.tolist() == [0, 7, 0, 1]  # 64 minutes are 2**6; one minute is the first bucket


def test_without_a_quota_the_newest_enter_whatever_their_scenario():
    events = history([1] + [0] * 4, [0, 1, 2, 3, 4])
    for policy in ("sorted", "concat"):
        assert kept(events, HistoryConfig(policy=policy, max_events=4)).tolist() == [1, 2, 3, 4]


def encoded(policy: str) -> dict[str, list[int]]:
    events, config = history([1, 0, 1, 0], [0, 10, 64, 11 + 64]), HistoryConfig(policy=policy)
    return {name: row.tolist() for name, row in laid_out(events, config)._asdict().items()}


def test_each_policy_counts_along_its_own_axis():
    """The same four events: one axis in time, one along the segments, one in each segment."""
    in_time = {"item_L": [0, 1, 2, 3], "position_L": [0, 1, 2, 3], "order_L": [0, 1, 2, 3], "gap_L": [0, 4, 6, 4]}
    for policy in ("sorted", "quota_1d"):
        assert in_time.items() <= encoded(policy).items()
    by_scenario = {"item_L": [1, 3, 0, 2], "order_L": [1, 3, 0, 2], "gap_L": [0, 7, 0, 7]}
    for policy, position_L in (("concat", [0, 1, 2, 3]), ("quota_2d", [0, 1, 0, 1])):
        assert (by_scenario | {"position_L": position_L}).items() <= encoded(policy).items()


def test_positions_stay_below_their_number():
    rng = np.random.default_rng(0)
    events = history(rng.integers(0, 3, 200).tolist(), list(range(200)))
    for policy in ("sorted", "concat", "quota_1d", "quota_2d"):
        config = HistoryConfig(policy=policy, max_events=20, max_events_per_scenario=7)
        row = laid_out(events, config)
        assert len(row.item_L) == config.max_length(3)
        assert row.position_L.max() == config.num_positions(3) - 1


def test_users_together_are_as_each_alone():
    rng = np.random.default_rng(0)
    users = [history(rng.integers(0, 3, n).tolist(), np.sort(rng.integers(0, 9999, n)).tolist()) for n in (9, 0, 1, 30)]
    vectors_NE = rng.standard_normal((30, 4))
    for policy in ("sorted", "concat", "quota_1d", "quota_2d"):
        config = HistoryConfig(policy=policy, max_events=7, max_events_per_scenario=3)
        together = tower_inputs(users, [0] * len(users), [10_000] * len(users), vectors_NE, config)
        for b, user in enumerate(users):
            for name, alone in tower_inputs([user], [0], [10_000], vectors_NE, config)._asdict().items():
                row = getattr(together, name)[b]
                if name.endswith(("BL", "BLE")):
                    row = row[: alone.shape[1]]
                assert (row == alone[0]).all(), (policy, b, name)


def test_ties_in_time_are_in_the_order_of_training():
    """The doctest of `tie_keys` says that b is before a at 5; `tests/feature_repo/test_online.py` compares both."""
    encoded = encode_history(["a", "b"], ["click"] * 2, ["feed"] * 2, [5, 5], {"a": 0, "b": 1}, VOCABULARY)
    assert encoded.item_L.tolist() == [1, 0]


def test_unknown_items_scenarios_and_actions_are_left_out():
    encoded = encode_history(
        ["a", "nowhere", "a", "a"], ["click", "click", "click", "wink"], ["feed", "feed", "mars", "feed"], [3, 1, 2, 4],
        {"a": 0}, VOCABULARY,
    )  # fmt: skip
    assert encoded.timestamp_ms_L.tolist() == [3]


def test_a_user_without_events_is_padding():
    inputs = tower_inputs([history([], [])], [1], [10_000], np.ones((3, 4), np.float16), TWO)
    assert inputs.query_gap_B.tolist() == [0]
    assert inputs.vectors_BLE.shape == (1, 1, 4)
    assert not inputs.is_event_BL.any()
    assert not inputs.vectors_BLE.any()


def test_a_query_knows_how_long_ago_the_newest_event_was():
    """In buckets of a doubling number of minutes; a clock that runs behind is as if it had just happened."""
    user = history([0, 0], [100, 160])
    moments_ms = [60_000 * minute for minute in (155, 160, 160 + 60, 160 + 24 * 60)]
    inputs = tower_inputs([user] * 4, [0] * 4, moments_ms, np.ones((3, 4), np.float16), TWO)
    assert inputs.query_gap_B.tolist() == [1, 1, 6, 11]


def test_the_tower_reads_the_event_features_by_the_names_that_they_have_in_its_inputs():
    inputs = tower_inputs([history([0, 1], [1, 2])], [0], [10_000], np.ones((3, 4)), TWO)
    assert inputs._fields == ("vectors_BLE", *EventFeatures._fields, "query_scenario_B", "query_gap_B")
    assert all(getattr(inputs.events, name) is getattr(inputs, name) for name in EventFeatures._fields)
    assert [name.removesuffix("L") for name in Layout._fields[1:]] == [
        name.removesuffix("BL") for name in EventFeatures._fields[:-1]
    ]
