"""Mixing and encoding: quotas per scenario, the same encoding whatever else enters, one encoding for all callers."""

import numpy as np

from redrec.history import (
    EncodedEvents,
    EventFeatures,
    History,
    HistoryConfig,
    Ints,
    Vocabulary,
    encode,
    encode_history,
    mix,
    tower_inputs,
)

VOCABULARY = Vocabulary(scenarios=("feed", "ads"), actions=("click",))
TWO = HistoryConfig(policy="quota_2d", max_events_per_scenario=2)
MINUTE = 60_000


def history(scenarios: list[int], minutes: list[int]) -> History:
    n = len(scenarios)
    return History(np.arange(n), np.zeros(n, int), np.array(scenarios, int), np.array(minutes, int) * MINUTE)


def kept(events: History, config: HistoryConfig) -> Ints:
    return mix(events, np.zeros_like(events.item_L), config)


def gaps(events: History, config: HistoryConfig) -> list[int]:
    return encode(events, np.zeros_like(events.item_L), config).gap_L.tolist()


def test_a_quota_keeps_the_newest_of_each_scenario_in_time_order():
    events = history([0, 1, 0, 0, 1, 0], [1, 2, 3, 4, 5, 6])
    assert kept(events, TWO).tolist() == [1, 3, 4, 5]


def test_a_busy_scenario_cannot_push_out_a_sparse_one():
    assert 0 in kept(history([1] + [0] * 50, list(range(51))), TWO)


def test_the_gap_is_to_the_previous_event_of_the_policy_even_if_that_does_not_enter():
    """64 minutes are bucket 7, 11 are 4, 10 are 4, one minute is the first bucket."""
    events = history([1, 0, 1, 0], [0, 10, 64, 11 + 64])
    assert gaps(events, HistoryConfig(policy="sorted", max_events=1)) == [0, 4, 6, 4]
    for policy in ("concat", "quota_1d", "quota_2d"):
        config = HistoryConfig(policy=policy, max_events=1, max_events_per_scenario=1)
        assert gaps(events, config) == [0, 0, 7, 7]


def test_without_a_quota_the_newest_enter_whatever_their_scenario():
    events = history([1] + [0] * 4, [0, 1, 2, 3, 4])
    for policy in ("sorted", "concat"):
        assert kept(events, HistoryConfig(policy=policy, max_events=4)).tolist() == [1, 2, 3, 4]


def test_a_store_that_keeps_what_it_should_gives_the_inputs_of_the_whole_history():
    """The store has the newest `max_of_one_scenario` events of each scenario: the oldest gives the next one its gap."""
    rng = np.random.default_rng(0)
    whole = history(rng.integers(0, 3, 200).tolist(), np.sort(rng.integers(0, 9999, 200)).tolist())
    vectors_NE = rng.standard_normal((200, 4))
    for policy in ("sorted", "concat", "quota_1d", "quota_2d"):
        config = HistoryConfig(policy=policy, max_events=20, max_events_per_scenario=7)
        store = HistoryConfig(max_events_per_scenario=config.max_of_one_scenario)
        stored = whole.at(kept(whole, store))
        served, measured = (tower_inputs([h], [0], [10**9], vectors_NE, config) for h in (stored, whole))
        assert len(served.action_BL[0]) == config.max_length(3)
        for name, values in served._asdict().items():
            assert (values == getattr(measured, name)).all(), (policy, name)


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
    assert [name.removesuffix("L") for name in EncodedEvents._fields[1:]] == [
        name.removesuffix("BL") for name in EventFeatures._fields[:-1]
    ]
