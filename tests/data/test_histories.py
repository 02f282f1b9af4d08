"""Histories: time order, the split, and nothing of the test period in the training part."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data.histories import TEST, TRAIN, VALIDATION, Histories, scenario_history, train_counts
from redrec.data.prepare import DataConfig, prepare
from redrec.data.tables import connect

START = datetime(2024, 1, 1, tzinfo=UTC)


def write_tables(folder, events):
    """Events are (user, item, scenario, hours since the start)."""
    rows = [
        {"user_id": u, "item_id": i, "scenario": s, "action": "click", "timestamp": START + timedelta(hours=hours)}
        for u, i, s, hours in events
    ]
    items = [{"item_id": f"i{n}", "title": ""} for n in range(10)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    return folder / "events.parquet", folder / "items.parquet"


EVENTS = [("a", f"i{n}", "ads" if n % 2 else "feed", n) for n in range(10)] + [
    ("b", "i3", "feed", 100),
    ("b", "i4", "ads", 1),
]


def histories_of(folder, events, **config) -> Histories:
    prepare(*write_tables(folder, events), folder / "data", DataConfig(**config))
    return Histories(folder / "data")


def items_of_part(histories: Histories, user: int, part: int) -> list[int]:
    own = slice(histories.begin_U[user], histories.end_U[user])
    return histories.item_N[own][histories.split_N[own] == part].tolist()


def test_events_come_in_time_order_with_their_catalog_index(tmp_path):
    histories = histories_of(tmp_path, EVENTS, split="leave_last_out")

    assert histories.user_ids == ["a", "b"]
    assert histories.train_of(0).item_L.tolist() == list(range(9))
    assert items_of_part(histories, 0, TEST) == [9]
    assert (histories.train_of(1).item_L.tolist(), items_of_part(histories, 1, TEST)) == ([4], [3])
    assert not (histories.split_N == VALIDATION).any()


@pytest.mark.parametrize("has_validation", [False, True])
def test_the_global_split_puts_nothing_after_a_cutoff_into_an_earlier_part(tmp_path, has_validation):
    events = [(f"u{n % 7}", f"i{n % 10}", "ads", n) for n in range(100)]
    histories = histories_of(tmp_path, events, test_share=0.2, has_validation=has_validation)
    time_P = [histories.timestamp_ms_N[histories.split_N == part] for part in (TRAIN, VALIDATION, TEST)]
    assert [len(time) for time in time_P] == ([64, 16, 20] if has_validation else [80, 0, 20])
    assert time_P[0].max() < time_P[1].min(initial=time_P[2].min()) <= time_P[1].max(initial=0) or not has_validation
    assert max(time_P[0].max(), time_P[1].max(initial=0)) < time_P[2].min()


def test_leave_last_out_takes_the_test_event_first_and_never_the_first_event(tmp_path):
    events = [(f"u{size}", f"i{n}", "ads", n) for size in (1, 2, 3, 4) for n in range(size)]
    histories = histories_of(tmp_path, events, split="leave_last_out", has_validation=True)
    parts = [[items_of_part(histories, user, part) for part in (TRAIN, VALIDATION, TEST)] for user in range(4)]
    assert parts == [[[0], [], []], [[0], [], [1]], [[0], [1], [2]], [[0, 1], [2], [3]]]
    assert histories.num_train_U.tolist() == [1, 1, 1, 2]


# One user: three events in ads, then three in feed that begin before the last of ads.
INTERLEAVED = [("a", f"i{item}", "ads" if item < 5 else "feed", n) for n, item in enumerate([0, 1, 5, 6, 2, 7])]


def test_leave_last_out_per_scenario_holds_the_last_events_of_each_scenario(tmp_path):
    histories = histories_of(tmp_path, INTERLEAVED, split="leave_last_out_per_scenario", has_validation=True)
    assert [items_of_part(histories, 0, part) for part in (TRAIN, VALIDATION, TEST)] == [[0, 5], [1, 6], [2, 7]]
    assert histories.train_of(0).item_L.tolist() == [0, 5]


def test_what_is_known_at_a_target_is_of_an_earlier_part_and_comes_before_it(tmp_path):
    """The validation event of ads (i1) comes before the training event of feed (i5), and so on."""
    histories = histories_of(tmp_path, INTERLEAVED, split="leave_last_out_per_scenario", has_validation=True)

    def known(scenario: int, part: int) -> list[int]:
        (place,) = histories.targets(0, scenario, part)
        return histories.known(0, place, part).item_L.tolist()

    ads, feed = 0, 1  # as many events each: in order of name
    assert (known(ads, VALIDATION), known(ads, TEST)) == ([0], [0, 1, 5, 6])
    assert (known(feed, VALIDATION), known(feed, TEST)) == ([0, 5], [0, 1, 5, 6])  # i2, the test event of ads, is not


@pytest.mark.parametrize("events_per_block", [1, 3, 1000])
def test_a_scan_gives_the_same_users_and_counts_whatever_its_blocks(tmp_path, monkeypatch, events_per_block):
    histories = histories_of(tmp_path, EVENTS, split="leave_last_out")
    monkeypatch.setattr("redrec.data.histories.EVENTS_PER_BLOCK", events_per_block)
    assert [histories.users_with_targets(s, TEST).tolist() for s in (0, 1)] == [[0], [1]]  # ads: i9; feed: i3
    assert train_counts(histories, num_items=10, num_scenarios=2).sum() == 10


def test_train_counts_count_training_events_alone(tmp_path):
    histories = histories_of(tmp_path, EVENTS, split="leave_last_out")
    counts_SN = train_counts(histories, num_items=10, num_scenarios=2)
    expected_N = np.bincount([*range(9), 4], minlength=10)
    assert counts_SN.sum(0).tolist() == expected_N.tolist()


def test_scenario_history_keeps_the_newest_oldest_first(tmp_path):
    prepare(*write_tables(tmp_path, EVENTS), tmp_path / "data")
    events = connect().read_parquet(tmp_path / "data" / "events.parquet")
    rows = scenario_history(events, "ads", max_events=2).order_by("user_id").to_pyarrow().to_pylist()
    hour_ms = 3_600_000
    start_ms = int(START.timestamp() * 1000)
    assert [row["item_ids"] for row in rows] == [["i7", "i9"], ["i4"]]
    assert rows[0]["timestamps_ms"] == [start_ms + 7 * hour_ms, start_ms + 9 * hour_ms]
