"""Histories: time order, the splits, and no event of a later split in what is known.

For the last, events are planted one microsecond around the cutoffs; a negative control shows that each way to let one of
them in makes the check fail. There an item's name says when it occurs: early is before the validation period, mid inside
it, late in the test period. The first item of the catalog is an early one, since it pads the rows of a batch.
"""

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data import arrays, checks
from redrec.data import columns as c
from redrec.data.histories import NEVER, TEST, TRAIN, VALIDATION, Histories, first_ms, scenario_history, train_counts
from redrec.data.prepare import DataConfig, prepare
from redrec.data.tables import connect
from redrec.evaluation.cases import cases_of
from redrec.history import History, HistoryConfig
from redrec.training.batches import BatchConfig, Batches, Shard
from tests.data.logs import EVENTS, START, histories_of, write_clicks


def items_of_split(histories: Histories, user: int, split: int) -> list[int]:
    own = slice(histories.begin_U[user], histories.end_U[user])
    return histories.item_N[own][histories.split_N[own] == split].tolist()


def items_of_splits(histories: Histories, user: int) -> list[list[int]]:
    return [items_of_split(histories, user, split) for split in (TRAIN, VALIDATION, TEST)]


def test_events_come_in_time_order_with_their_catalog_index(tmp_path):
    histories = histories_of(tmp_path, EVENTS, split="leave_last_out")

    assert histories.user_ids == ["a", "b"]
    assert histories.train_of(0).item_L.tolist() == list(range(9))
    assert items_of_split(histories, 0, TEST) == [9]
    assert (histories.train_of(1).item_L.tolist(), items_of_split(histories, 1, TEST)) == ([4], [3])
    assert not (histories.split_N == VALIDATION).any()


@pytest.mark.parametrize("has_validation", [False, True])
def test_the_global_split_puts_nothing_after_a_cutoff_into_an_earlier_split(tmp_path, has_validation):
    events = [(f"u{n % 7}", f"i{n % 10}", "ads", n) for n in range(100)]
    histories = histories_of(tmp_path, events, test_share=0.2, has_validation=has_validation)
    train, validation, test = (histories.timestamp_ms_N[histories.split_N == s] for s in (TRAIN, VALIDATION, TEST))
    assert [len(train), len(validation), len(test)] == ([64, 16, 20] if has_validation else [80, 0, 20])
    assert train.max() < validation.min(initial=test.min()) <= validation.max(initial=0) or not has_validation
    assert max(train.max(), validation.max(initial=0)) < test.min()


def test_leave_last_out_takes_the_test_event_first_and_never_the_first_event(tmp_path):
    lengths = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2), (4, 3)]  # of a user; the event
    events = [(f"u{length}", f"i{n}", "ads", n) for length, n in lengths]
    histories = histories_of(tmp_path, events, split="leave_last_out", has_validation=True)
    assert [items_of_splits(histories, user) for user in range(4)] == [
        [[0], [], []],
        [[0], [], [1]],
        [[0], [1], [2]],
        [[0, 1], [2], [3]],
    ]
    assert histories.num_train_U.tolist() == [1, 1, 1, 2]


def test_events_of_the_same_time_are_in_no_order_of_their_ids(tmp_path):
    """Ten items at the same time, a hundred times: one in two neighbours ascends, and no pair always has one order."""
    events = [("a", f"i{n}", "ads", hours) for hours in range(100) for n in range(10)]
    histories = histories_of(tmp_path, events, split="leave_last_out")
    item_TI = np.reshape(histories.item_N, (100, 10))
    assert (np.sort(item_TI) == np.arange(10)).all()
    assert 0.45 < (np.diff(item_TI) > 0).mean() < 0.55
    assert (0.3 < (item_TI.argsort()[:, 0] < item_TI.argsort()[:, 1]).mean() < 0.7).all()


# One user: three events in ads, then three in feed that begin before the last of ads.
INTERLEAVED = [("a", f"i{item}", "ads" if item < 5 else "feed", n) for n, item in enumerate([0, 1, 5, 6, 2, 7])]


def test_leave_last_out_per_scenario_holds_the_last_events_of_each_scenario(tmp_path):
    histories = histories_of(tmp_path, INTERLEAVED, split="leave_last_out_per_scenario", has_validation=True)
    assert items_of_splits(histories, 0) == [[0, 5], [1, 6], [2, 7]]
    assert histories.train_of(0).item_L.tolist() == [0, 5]


def test_events_known_at_a_target_are_of_an_earlier_split_and_come_before_it(tmp_path):
    """The validation event of ads (i1) comes before the training event of feed (i5), and so on."""
    histories = histories_of(tmp_path, INTERLEAVED, split="leave_last_out_per_scenario", has_validation=True)

    def known(scenario: int, split: int) -> list[int]:
        (index,) = histories.targets(0, scenario, split)
        return histories.known(0, index, split).item_L.tolist()

    ads, feed = 0, 1  # as many events each: in order of name
    assert (known(ads, VALIDATION), known(ads, TEST)) == ([0], [0, 1, 5, 6])
    assert (known(feed, VALIDATION), known(feed, TEST)) == ([0, 5], [0, 1, 5, 6])  # i2, the test event of ads, is not


@pytest.mark.parametrize("events_per_block", [1, 3, 1000])
def test_a_scan_gives_the_same_users_and_counts_for_any_block_size(tmp_path, monkeypatch, events_per_block):
    histories = histories_of(tmp_path, EVENTS, split="leave_last_out")
    monkeypatch.setattr("redrec.data.histories.EVENTS_PER_BLOCK", events_per_block)
    assert [histories.users_with_targets(s, TEST).tolist() for s in (0, 1)] == [[0], [1]]  # ads: i9; feed: i3
    assert train_counts(histories, num_items=10, num_scenarios=2).sum() == 10


def test_the_first_event_of_an_item_is_that_of_the_splits_up_to_one(tmp_path):
    """User a meets item n at hour n; the last is of test, the one before of validation."""
    histories = histories_of(tmp_path, EVENTS[:10], has_validation=True)
    start_ms = int(START.timestamp() * 1000)
    hours = [start_ms + hour * 3_600_000 for hour in range(10)]
    assert first_ms(histories, num_items=10, until=TEST).tolist() == hours
    assert first_ms(histories, num_items=10, until=VALIDATION).tolist() == [*hours[:9], NEVER]
    assert first_ms(histories, num_items=10).tolist() == [*hours[:8], NEVER, NEVER]


def test_train_counts_count_training_events_alone(tmp_path):
    histories = histories_of(tmp_path, EVENTS, split="leave_last_out")
    counts_SN = train_counts(histories, num_items=10, num_scenarios=2)
    expected_N = np.bincount([*range(9), 4], minlength=10)
    assert counts_SN.sum(0).tolist() == expected_N.tolist()


def test_scenario_history_keeps_the_newest_oldest_first(tmp_path):
    prepare(*write_clicks(tmp_path, EVENTS), tmp_path / "data")
    events = connect().read_parquet(tmp_path / "data" / "events.parquet")
    rows = scenario_history(events, "ads", max_events=2).order_by("user_id").to_pyarrow().to_pylist()
    hour_ms = 3_600_000
    start_ms = int(START.timestamp() * 1000)
    assert [row["item_ids"] for row in rows] == [["i7", "i9"], ["i4"]]
    assert rows[0]["timestamps_ms"] == [start_ms + 7 * hour_ms, start_ms + 9 * hour_ms]


MID, LATE, END = (datetime(2024, month, 1, tzinfo=UTC) for month in (2, 3, 4))
US, MS = timedelta(microseconds=1), timedelta(milliseconds=1)
ITEMS = [f"{period}{n}" for period, n in product(("early", "late", "mid"), range(10))]  # sorted, as in the catalog
PLANTED = [("early0", START), ("early1", START + US), ("early9", MID - US), ("mid6", MID), ("mid7", MID + US)]
PLANTED += [("mid5", LATE - US), ("late8", LATE), ("late9", LATE + US)]


def prepared(folder: Path, events: list[tuple[str, str, str, datetime]], **config: object) -> Path:
    """Return the data folder of events of (user, scenario, item, time)."""
    names = ("user_id", "scenario", "item_id", "timestamp")
    rows = [dict(zip(names, event, strict=True), action="click") for event in events]
    pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
    pq.write_table(pa.table({"item_id": ITEMS, "title": ITEMS}), folder / "items.parquet")
    prepare(
        folder / "events.parquet",
        folder / "items.parquet",
        folder / "data",
        DataConfig(**{"has_validation": False, **config}),
    )
    return folder / "data"


def with_planted_user(folder: Path, has_validation: bool) -> Path:
    """Each cutoff of the split has many events at the same time: with a test share of 0.3, at 49 and 70 %."""
    others = [(f"early{n % 9}", START + n * timedelta(hours=1)) for n in range(40)]
    others += [("mid0", MID)] * 20 + [("late0", LATE)] * 20 + [("late1", END)] * 20
    events = [
        (f"u{n % 20}-{n // 40}", "ads", item, time + n * US * (time == END)) for n, (item, time) in enumerate(others)
    ]
    events += [("planted", "ads", *event) for event in PLANTED]
    return prepared(folder, events, has_validation=has_validation, test_share=0.3)


def names(item_N: np.ndarray) -> list[str]:
    return [ITEMS[item] for item in item_N]


def period_of(name: str) -> str:
    return name.rstrip("0123456789")


def periods(item_N: np.ndarray) -> set[str]:
    return {period_of(name) for name in names(item_N)}


def trained_on(histories: Histories) -> set[str]:
    """Return the periods of all items in ten training steps: events, targets and negatives."""
    counts_SN = train_counts(histories, len(ITEMS), num_scenarios=1)
    config = BatchConfig(num_users=8, num_uniform_negatives=20, num_popular_negatives=20)
    prior_SN = np.zeros(counts_SN.shape)
    batches = Batches(histories, counts_SN, counts_SN >= 0, prior_SN, [False], config, HistoryConfig(), 0, seed=0)
    return set().union(*(periods(batches.draw(step, Shard()).items_M) for step in range(10)))


def known_at(histories: Histories, scenario: int, split: int) -> list[History]:
    cases = cases_of(histories, scenario, split, num_targets=5, max_users=99, seed=0)
    return [case.known(histories) for case in cases]


def assert_nothing_leaks(data: Path, has_validation: bool) -> None:
    """Assert that every event before a cutoff is known, and no other."""
    histories = Histories(data)
    in_training = {"early"} if has_validation else {"early", "mid"}
    planted = names(histories.train_of(histories.user_ids.index("planted")).item_L)
    assert sorted(planted) == sorted(item for item, _ in PLANTED if period_of(item) in in_training)
    assert trained_on(histories) == in_training
    for split, periods_known in ((VALIDATION, {"early"}), (TEST, {"early", "mid"})):
        known = known_at(histories, 0, split)
        assert len(known) > 0 or not has_validation
        assert all(periods(history.item_L) <= periods_known for history in known)


@pytest.mark.parametrize("has_validation", [False, True])
def test_an_event_at_or_after_the_cutoff_is_never_known(tmp_path, has_validation):
    assert_nothing_leaks(with_planted_user(tmp_path, has_validation), has_validation)


def the_cutoff_is_before_itself(monkeypatch):
    split_of = arrays._split_of

    def late(user_N, scenario_N, time_ms_N, split):
        cutoffs = {name: getattr(split, name) + 1 for name in ("validation_start_ms", "test_start_ms")}
        return split_of(user_N, scenario_N, time_ms_N, split.model_copy(update=cutoffs))

    monkeypatch.setattr(arrays, "_split_of", late)


def the_cutoff_is_a_second_late(monkeypatch):
    quantile_s = arrays.HistoryArrays.quantile_s
    monkeypatch.setattr(arrays.HistoryArrays, "quantile_s", lambda self, share: quantile_s(self, share) + 1)


def the_queried_split_is_known(monkeypatch):
    known = Histories.known
    monkeypatch.setattr(Histories, "known", lambda self, user, end, split: known(self, user, end, split + 1))


def training_reads_all_events(monkeypatch):
    monkeypatch.setattr(Histories, "train_of", lambda self, user: self.known(user, int(self.end_U[user]), TEST + 1))


def users_are_mixed_up(monkeypatch):
    is_new = arrays.is_new
    monkeypatch.setattr(arrays, "is_new", lambda rows, columns, last: np.roll(is_new(rows, columns, last), 1))


MUTATIONS = [the_cutoff_is_before_itself, the_cutoff_is_a_second_late, training_reads_all_events, users_are_mixed_up]


@pytest.mark.parametrize(
    ("mutate", "has_validation"),
    [
        *product(MUTATIONS, [False, True]),
        (the_queried_split_is_known, True),
    ],  # it lets validation events into training
)
def test_the_check_fails_if_the_code_lets_an_event_in(tmp_path, monkeypatch, mutate, has_validation):
    mutate(monkeypatch)
    data = with_planted_user(tmp_path, has_validation)
    with pytest.raises(AssertionError):
        assert_nothing_leaks(data, has_validation)


# One user: the last event of ads comes a millisecond after one of ads and a millisecond before one of feed. That is the
# resolution of times in the arrays; the names are not in order of time.
BETWEEN = [
    ("ads", "early0", START),
    ("feed", "early1", START + MS),
    ("ads", "early9", LATE - MS),
    ("ads", "mid9", LATE),
]
BETWEEN += [("feed", "mid8", LATE + MS), ("feed", "mid7", END)]
ADS, FEED = 0, 1  # as many events each: in order of name
LAST_OUT = {  # split: the user's events, the queried scenario, the training events, the events known at the target
    "leave_last_out": (
        BETWEEN[:-1],
        FEED,
        ["early0", "early1", "early9", "mid9"],
        ["early0", "early1", "early9", "mid9"],
    ),
    "leave_last_out_per_scenario": (
        BETWEEN,
        ADS,
        ["early0", "early1", "early9", "mid8"],
        ["early0", "early1", "early9"],
    ),
}


def assert_a_target_knows_what_came_before(folder: Path, split: str) -> None:
    events, scenario, in_training, known = LAST_OUT[split]
    histories = Histories(prepared(folder, [("u", *event) for event in events], split=split))
    assert names(histories.train_of(0).item_L) == in_training
    assert [names(history.item_L) for history in known_at(histories, scenario, TEST)] == [known]


@pytest.mark.parametrize("split", LAST_OUT)
def test_an_event_after_the_held_out_one_is_not_known_at_it(tmp_path, split):
    assert_a_target_knows_what_came_before(tmp_path, split)


@pytest.mark.parametrize("split", LAST_OUT)
def test_the_check_fails_if_events_are_not_in_order_of_time(tmp_path, monkeypatch, split):
    monkeypatch.setattr(checks, "event_order", lambda events: [events[c.USER_ID], events[c.ITEM_ID]])
    with pytest.raises(AssertionError):
        assert_a_target_knows_what_came_before(tmp_path, split)


def test_the_check_fails_if_the_position_of_the_target_is_ignored(tmp_path, monkeypatch):
    known = Histories.known
    monkeypatch.setattr(Histories, "known", lambda self, user, end, split: known(self, user, self.end_U[user], split))
    with pytest.raises(AssertionError):
        assert_a_target_knows_what_came_before(tmp_path, "leave_last_out_per_scenario")
