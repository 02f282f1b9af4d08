"""Leaks: an event one microsecond after the cutoff is planted, and each way to let it in makes the check fail.

An item's name says when it occurs: early before the validation period, mid inside it, late in the test period. The first item of the
catalog is an early one, since it fills up the rows of a batch.
"""

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data import arrays
from redrec.data import columns as c
from redrec.data.histories import TEST, VALIDATION, Histories, train_counts
from redrec.data.prepare import DataConfig, prepare
from redrec.evaluation.cases import cases_of
from redrec.history import History, HistoryConfig
from redrec.training.batches import BatchConfig, Batches, Shard

START, MID, LATE, END = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))
US, MS = timedelta(microseconds=1), timedelta(milliseconds=1)
ITEMS = [f"{kind}{n}" for kind in ("early", "late", "mid") for n in range(10)]  # in order of id, as in the catalog
PLANTED = [("early0", START), ("early1", START + US), ("early9", MID - US), ("mid6", MID), ("mid7", MID + US)]
PLANTED += [("mid5", LATE - US), ("late8", LATE), ("late9", LATE + US)]


def prepared(folder: Path, events: list[tuple[str, str, str, datetime]], **config: object) -> Path:
    """Return the data folder of events of (user, scenario, item, time)."""
    names = ("user_id", "scenario", "item_id", "timestamp")
    rows = [dict(zip(names, event, strict=True), action="click") for event in events]
    pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
    pq.write_table(pa.table({"item_id": ITEMS, "title": ITEMS}), folder / "items.parquet")
    prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", DataConfig(**config))
    return folder / "data"


def with_planted_user(folder: Path, has_validation: bool) -> Path:
    """Each moment of the split falls among many events of that very moment: with a test share of 0.3, at 49 and 70 %."""
    others = [(f"early{n % 9}", START + n * timedelta(hours=1)) for n in range(40)]
    others += [("mid0", MID)] * 20 + [("late0", LATE)] * 20 + [("late1", END)] * 20
    events = [
        (f"u{n % 20}-{n // 40}", "ads", item, time + n * US * (time == END)) for n, (item, time) in enumerate(others)
    ]
    events += [("planted", "ads", *event) for event in PLANTED]
    return prepared(folder, events, has_validation=has_validation, test_share=0.3)


def names(item_N: np.ndarray) -> list[str]:
    return [ITEMS[item] for item in item_N]


def kind_of(name: str) -> str:
    return name.rstrip("0123456789")


def kinds(item_N: np.ndarray) -> set[str]:
    return {kind_of(name) for name in names(item_N)}


def trained_on(histories: Histories) -> set[str]:
    """Return the kinds of items in what steps of training see: events, targets and negatives."""
    counts_SN = train_counts(histories, len(ITEMS), num_scenarios=1)
    config = BatchConfig(num_users=8, num_uniform_negatives=20, num_popular_negatives=20)
    batches = Batches(histories, counts_SN, counts_SN >= 0, config, HistoryConfig(), max_full_catalog=0, seed=0)
    return set().union(*(kinds(batches.draw(step, Shard()).items_M) for step in range(10)))


def known_at(histories: Histories, scenario: int, part: int) -> list[History]:
    return [
        case.known(histories) for case in cases_of(histories, scenario, part, target_window=5, max_users=99, seed=0)
    ]


def assert_nothing_leaks(data: Path, has_validation: bool) -> None:
    """Assert that every event before a moment is known, and none from it on."""
    histories = Histories(data)
    in_training = {"early"} if has_validation else {"early", "mid"}
    planted = names(histories.train_of(histories.user_ids.index("planted")).item_L)
    assert planted == [item for item, _ in PLANTED if kind_of(item) in in_training]
    assert trained_on(histories) == in_training
    for part, kinds_known in ((VALIDATION, {"early"}), (TEST, {"early", "mid"})):
        known = known_at(histories, 0, part)
        assert len(known) > 0 or not has_validation
        assert all(kinds(history.item_L) <= kinds_known for history in known)


@pytest.mark.parametrize("has_validation", [False, True])
def test_an_event_at_or_after_the_cutoff_is_never_known(tmp_path, has_validation):
    assert_nothing_leaks(with_planted_user(tmp_path, has_validation), has_validation)


def a_moment_counts_as_before(monkeypatch):
    part = arrays._split_of

    def late(user_N, scenario_N, time_ms_N, split):
        moments = {name: getattr(split, name) + 1 for name in ("validation_start_ms", "test_start_ms")}
        return part(user_N, scenario_N, time_ms_N, split.model_copy(update=moments))

    monkeypatch.setattr(arrays, "_split_of", late)


def the_cutoff_is_a_second_late(monkeypatch):
    quantile_s = arrays.HistoryArrays.quantile_s
    monkeypatch.setattr(arrays.HistoryArrays, "quantile_s", lambda self, share: quantile_s(self, share) + 1)


def the_queried_part_is_known(monkeypatch):
    known = Histories.known
    monkeypatch.setattr(Histories, "known", lambda self, user, end, part: known(self, user, end, part + 1))


def training_reads_all_events(monkeypatch):
    monkeypatch.setattr(Histories, "train_of", lambda self, user: self.known(user, int(self.end_U[user]), TEST + 1))


def users_are_mixed_up(monkeypatch):
    is_new = arrays.is_new
    monkeypatch.setattr(arrays, "is_new", lambda rows, columns, last: np.roll(is_new(rows, columns, last), 1))


MUTATIONS = [a_moment_counts_as_before, the_cutoff_is_a_second_late, training_reads_all_events, users_are_mixed_up]


@pytest.mark.parametrize(
    ("mutate", "has_validation"),
    [
        *product(MUTATIONS, [False, True]),
        (the_queried_part_is_known, True),
    ],  # training is queried for that before validation
)
def test_the_check_fails_where_the_code_lets_an_event_in(tmp_path, monkeypatch, mutate, has_validation):
    mutate(monkeypatch)
    data = with_planted_user(tmp_path, has_validation)
    with pytest.raises(AssertionError):
        assert_nothing_leaks(data, has_validation)


# One user: the last event of ads comes a millisecond after one of ads and a millisecond before one of feed. That is the
# least by which arrays tell times apart; the names are not in order of time.
BETWEEN = [
    ("ads", "early0", START),
    ("feed", "early1", START + MS),
    ("ads", "early9", LATE - MS),
    ("ads", "mid9", LATE),
]
BETWEEN += [("feed", "mid8", LATE + MS), ("feed", "mid7", END)]
ADS, FEED = 0, 1  # as many events each: in order of name
LAST_OUT = {  # the split, the user's events, the scenario queried: the training events, those known at the target
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
def test_an_event_after_the_one_held_out_is_not_known_there(tmp_path, split):
    assert_a_target_knows_what_came_before(tmp_path, split)


@pytest.mark.parametrize("split", LAST_OUT)
def test_the_check_fails_where_events_are_not_in_order_of_time(tmp_path, monkeypatch, split):
    monkeypatch.setattr(c, "EVENT_ORDER", (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.SCENARIO, c.ACTION))
    with pytest.raises(AssertionError):
        assert_a_target_knows_what_came_before(tmp_path, split)


def test_the_check_fails_where_the_place_of_a_target_is_not_queried_for(tmp_path, monkeypatch):
    known = Histories.known
    monkeypatch.setattr(Histories, "known", lambda self, user, end, part: known(self, user, self.end_U[user], part))
    with pytest.raises(AssertionError):
        assert_a_target_knows_what_came_before(tmp_path, "leave_last_out_per_scenario")
