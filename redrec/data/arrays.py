"""Arrays: append the clean events of all users, sorted, to the files that `redrec.data.histories` opens.

What needs the whole log (the numbers of scenarios and actions, the times of the split) is written at the end, block by
block: memory grows with the users, not with their events.

Shapes: N events, U users, S scenarios, I items, G groups (of a user, or of a user in a scenario), V values of a column.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data import columns as c
from redrec.data.histories import EVENTS_PER_BLOCK, FIELDS, TEST, TRAIN, USERS, VALIDATION, events_file
from redrec.data.split import SplitRule
from redrec.data.times import OLDEST
from redrec.history import MS_PER_DAY, Ints

OLDEST_MS = int(OLDEST.timestamp()) * 1000


class Tally(NamedTuple):
    """Counts of the whole log; the scenarios are in order of first appearance."""

    scenarios: tuple[str, ...]
    events_S: Ints
    users_S: Ints
    items_S: Ints
    items_with_events: int
    users: int
    one_event_users: int
    one_scenario_users: int
    midnight_events: int  # to the millisecond, UTC
    old_events: int  # before `redrec.data.times.OLDEST`
    first_ms_S: Ints
    last_ms_S: Ints


class TieOrder(NamedTuple):
    """Ties: neighbouring events of a user, of different items, whose times differ inside one second.

    There the milliseconds are often an order that was added to a coarser time, such as a day. Events of the very same
    time are none: their order is `redrec.history.tie_keys`, whatever it was in the table.
    """

    ties: int
    ascending: int  # the later item has the greater id


class UserBlock(NamedTuple):
    """Some users with all their events; `user_N` numbers the users from 0."""

    num_users: int
    user_N: Ints
    span: tuple[int, int]  # index of the first event, number of events


class HistoryArrays:
    """Writes the arrays into `folder`: first append all events, then call `finish` with the split."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.num_events = folder, 0
        self.last: dict[str, Any] = {}
        self.user_ids: list[pa.Array] = []
        self.begins: list[Ints] = []
        self.numbers: dict[str, dict[str, int]] = {c.ACTION: {}, c.SCENARIO: {}}

    def append(self, rows: pa.RecordBatch) -> None:
        """Add the next events, with the columns of the contract and `item_index`."""
        if not len(rows):
            return
        begins = np.flatnonzero(is_new(rows, (c.USER_ID,), self.last))
        self.user_ids.append(rows[c.USER_ID].take(pa.array(begins)))
        self.begins.append(self.num_events + begins)
        self.num_events += len(rows)
        self.last = last_of(rows)
        values = {
            "item": rows["item_index"].to_numpy(),
            "action": self._numbered(rows, c.ACTION),
            "scenario": self._numbered(rows, c.SCENARIO),
            "timestamp_ms": rows[c.TIMESTAMP].cast(pa.int64()).to_numpy() // 1000,
        }
        for name, value_N in values.items():
            self._write(name, value_N)

    def _numbered(self, rows: pa.RecordBatch, name: str) -> Ints:
        """Return the values as numbers, in order of first appearance."""
        numbers, encoded = self.numbers[name], rows[name].dictionary_encode()
        number_V = np.array([numbers.setdefault(value, len(numbers)) for value in encoded.dictionary.to_pylist()])
        return number_V[encoded.indices.to_numpy()]

    def quantile_s(self, share: float) -> int:
        """Return the second before which this share of the events is, interpolated linearly between two events."""
        rank = share * (self.num_events - 1)
        before, after = self._ranked_s(int(np.floor(rank))), self._ranked_s(int(np.ceil(rank)))
        return int(before + (after - before) * (rank % 1))

    def _ranked_s(self, rank: int) -> int:
        """Return the second of the event with this rank in time; bisection needs the memory of one block only."""
        low = min(int(block.min()) for block in self.blocks("timestamp_ms")) // 1000
        high = max(int(block.max()) for block in self.blocks("timestamp_ms")) // 1000
        while low < high:
            middle = (low + high) // 2
            num_until = sum(np.count_nonzero(block < (middle + 1) * 1000) for block in self.blocks("timestamp_ms"))
            if num_until > rank:
                high = middle
            else:
                low = middle + 1
        return low

    def tally(self, num_items: int) -> Tally:
        _, num_events_U = self._users()
        num_scenarios = len(self.numbers[c.SCENARIO])
        is_seen_SI = np.zeros((num_scenarios, num_items), dtype=bool)
        counts = [self._tally_block(block, is_seen_SI) for block in self._user_blocks()]
        events_S, users_S, one_scenario_users = zip(*counts, strict=True)
        first_ms_S, last_ms_S = self._time_spans(num_scenarios)
        return Tally(
            scenarios=tuple(self.numbers[c.SCENARIO]),
            events_S=np.sum(events_S, axis=0),
            users_S=np.sum(users_S, axis=0),
            items_S=is_seen_SI.sum(axis=1),
            items_with_events=int(is_seen_SI.any(axis=0).sum()),
            users=len(num_events_U),
            one_event_users=int((num_events_U == 1).sum()),
            one_scenario_users=sum(one_scenario_users),
            midnight_events=self._count_times(lambda time_ms_N: time_ms_N % MS_PER_DAY == 0),
            old_events=self._count_times(lambda time_ms_N: time_ms_N < OLDEST_MS),
            first_ms_S=first_ms_S,
            last_ms_S=last_ms_S,
        )

    def _tally_block(self, block: UserBlock, is_seen_SI: NDArray[np.bool_]) -> tuple[Ints, Ints, int]:
        scenario_N, item_N = (self._map(name, *block.span) for name in ("scenario", "item"))
        is_in_US = np.zeros((block.num_users, len(is_seen_SI)), dtype=bool)
        is_in_US[block.user_N, scenario_N] = True
        is_seen_SI[scenario_N, item_N] = True
        events_S = np.bincount(scenario_N, minlength=len(is_seen_SI))
        num_one_scenario = int((is_in_US.sum(axis=1) == 1).sum())
        return events_S, is_in_US.sum(axis=0), num_one_scenario

    def _time_spans(self, num_scenarios: int) -> tuple[Ints, Ints]:
        """Return the time of each scenario's first and last event, `first_ms_S` and `last_ms_S`."""
        first_ms_S = np.full(num_scenarios, np.iinfo(np.int64).max)
        last_ms_S = np.full(num_scenarios, np.iinfo(np.int64).min)
        for scenario_N, time_ms_N in zip(self.blocks("scenario"), self.blocks("timestamp_ms"), strict=True):
            np.minimum.at(first_ms_S, scenario_N, time_ms_N)
            np.maximum.at(last_ms_S, scenario_N, time_ms_N)
        return first_ms_S, last_ms_S

    def _count_times(self, is_counted: Callable[[NDArray], NDArray]) -> int:
        return sum(int(np.count_nonzero(is_counted(block))) for block in self.blocks("timestamp_ms"))

    def tie_order(self, id_rank_I: Ints) -> TieOrder:
        """Count the ties; `id_rank_I` is the position of each item in the order of ids."""
        counts = [self._tie_order(block, id_rank_I) for block in self._user_blocks()]
        ties, ascending = zip(*counts, strict=True)
        return TieOrder(sum(ties), sum(ascending))

    def _tie_order(self, block: UserBlock, id_rank_I: Ints) -> TieOrder:
        item_N, time_ms_N = (self._map(name, *block.span) for name in ("item", "timestamp_ms"))
        is_in_second_N = (np.diff(time_ms_N // 1000) == 0) & (np.diff(time_ms_N) > 0)
        is_tie_N = is_in_second_N & (np.diff(block.user_N) == 0) & (np.diff(item_N) != 0)
        is_ascending_N = np.diff(id_rank_I[item_N]) > 0
        return TieOrder(int(is_tie_N.sum()), int((is_tie_N & is_ascending_N).sum()))

    def finish(self, split: SplitRule) -> None:
        """Number scenarios and actions as the split does, write the split of each event, and the users."""
        for name, values in (("action", split.actions), ("scenario", split.scenarios)):
            final_V = np.array([values.index(value) for value in self.numbers[name]])
            for block in self.blocks(name, "r+"):
                block[:] = final_V[block]
        num_train_U = np.concatenate([self._write_split(block, split) for block in self._user_blocks()])
        _, num_events_U = self._users()
        users = {c.USER_ID: pa.chunked_array(self.user_ids), "num_events": num_events_U, "num_train": num_train_U}
        pq.write_table(pa.table(users), self.folder / USERS)

    def _write_split(self, block: UserBlock, split: SplitRule) -> Ints:
        """Write the split of each event and return the number of training events per user."""
        scenario_N, time_ms_N = (self._map(name, *block.span) for name in ("scenario", "timestamp_ms"))
        split_N = _split_of(block.user_N, scenario_N, time_ms_N, split)
        self._write("split", split_N)
        return np.bincount(block.user_N, weights=split_N == TRAIN).astype(np.int64)

    def _users(self) -> tuple[Ints, Ints]:
        """Return the index of each user's first event, and their number of events."""
        begin_U = np.concatenate(self.begins)
        return begin_U, np.diff(begin_U, append=self.num_events)

    def _user_blocks(self) -> Iterator[UserBlock]:
        begin_U, num_events_U = self._users()
        cuts = np.searchsorted(begin_U, np.arange(0, self.num_events, EVENTS_PER_BLOCK))
        for first, last in pairwise(np.unique([*cuts, len(begin_U)]).tolist()):
            user_N = np.repeat(np.arange(last - first), num_events_U[first:last])
            yield UserBlock(last - first, user_N, (int(begin_U[first]), len(user_N)))

    def blocks(self, name: str, mode: str = "r") -> Iterator[NDArray]:
        """Yield one array, some events at a time."""
        for begin in range(0, self.num_events, EVENTS_PER_BLOCK):
            yield self._map(name, begin, min(EVENTS_PER_BLOCK, self.num_events - begin), mode)

    def _map(self, name: str, begin: int, num_events: int, mode: Any = "r") -> NDArray:
        dtype = np.dtype(FIELDS[name])
        return np.memmap(
            events_file(self.folder, name), dtype, mode, offset=int(begin) * dtype.itemsize, shape=(num_events,)
        )

    def _write(self, name: str, value_N: NDArray) -> None:
        with open(events_file(self.folder, name), "ab") as file:
            file.write(value_N.astype(FIELDS[name]).tobytes())


def is_new(rows: pa.RecordBatch, names: tuple[str, ...], last: dict[str, Any]) -> NDArray[np.bool_]:
    """Return whether one of the columns differs from the previous row; `last` is the row before the first."""
    is_same_N = np.ones(len(rows), dtype=bool)
    for name in names:
        is_same = pc.equal(rows[name][1:], rows[name][:-1])
        is_same_N[1:] &= is_same.fill_null(False).to_numpy(zero_copy_only=False)
    before = {name: last.get(name) for name in names}
    is_same_N[:1] = [row == before for row in rows.select(names)[:1].to_pylist()]
    return ~is_same_N


def last_of(rows: pa.RecordBatch) -> dict[str, Any]:
    """Return the last row of a batch that is not empty."""
    row: dict[str, Any] = rows[-1:].to_pylist()[0]
    return row


def _split_of(user_N: Ints, scenario_N: Ints, time_ms_N: Ints, split: SplitRule) -> Ints:
    """Return the split of each event, given all events of some users, sorted."""
    if split.policy == "global_time":
        is_validation_N = time_ms_N >= split.validation_start_ms
        return np.where(time_ms_N >= split.test_start_ms, TEST, np.where(is_validation_N, VALIDATION, TRAIN))
    num_scenarios = int(scenario_N.max()) + 1
    is_per_scenario = split.policy == "leave_last_out_per_scenario"
    index_N, age_N = _positions(user_N * num_scenarios + scenario_N if is_per_scenario else user_N)
    is_held_out_N = (index_N > 0) & (age_N < 1 + split.has_validation)
    return np.where(is_held_out_N, TEST - age_N, TRAIN)


def _positions(group_N: Ints) -> tuple[Ints, Ints]:
    """Return the position of each element within its group, from the front and from the end.

    >>> _positions(np.array([7, 3, 7, 7]))
    (array([0, 0, 1, 2]), array([2, 0, 1, 0]))
    """
    order_N = np.argsort(group_N, kind="stable")
    _, begin_G, size_G = np.unique(group_N[order_N], return_index=True, return_counts=True)
    index_N, age_N = np.empty_like(order_N), np.empty_like(order_N)
    index_N[order_N] = np.arange(len(group_N)) - np.repeat(begin_G, size_G)
    age_N[order_N] = np.repeat(size_G, size_G) - 1 - index_N[order_N]
    return index_N, age_N
