"""Histories: all events of a user in time order, as memory-mapped arrays, and the split of each event.

One flat array per field over all users, sorted by user and time, and one row per user with the number of the user's
events. Opening it reads the users only; the events stay on disk until they are needed.

An event is in one split: training, validation or test. Without `has_validation` the validation split is empty.

| split                         | test                              | validation                     |
|-------------------------------|-----------------------------------|--------------------------------|
| `global_time`                 | from a cutoff time                | from an earlier cutoff time    |
| `leave_last_out`              | the last event of a user          | the one before                 |
| `leave_last_out_per_scenario` | the last of a user in a scenario  | the one before in the scenario |

The first is used in production: events before a time predict those after it. Most papers use the others; these take
the test event first and never the first event of a user (or of a user in a scenario). In the third a split is no
interval of a user's time, so the events known at a target are those of earlier splits that come before it.

Shapes: U users, N events of all users, L events of one user, B events of a block, X matching events, S scenarios.
"""

from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow.parquet as pq

from redrec.data import columns as c
from redrec.data.split import SplitRule, read_split
from redrec.data.tables import epoch_ms, event_order
from redrec.folders import DataFolder
from redrec.history import History, Ints

TRAIN, VALIDATION, TEST = 0, 1, 2
NEVER = np.iinfo(np.int64).max
FIELDS = {"item": np.int32, "action": np.int16, "scenario": np.int16, "timestamp_ms": np.int64, "split": np.int8}
USERS = "users.parquet"
EVENTS_PER_BLOCK = 4_000_000  # of a scan over all users: some 100 MB


def scenario_history(events: ir.Table, scenario: str, max_events: int) -> ir.Table:
    """One row per user of the scenario: its newest `max_events` events as parallel arrays, oldest first.

    Columns: user_id, event_timestamp (of the newest event, UTC), item_ids, actions, timestamps_ms.
    """
    of_scenario = events.filter(events[c.SCENARIO] == scenario)
    newest_first = ibis.window(group_by=c.USER_ID, order_by=[ibis.desc(value) for value in event_order(of_scenario)])
    aged = of_scenario.mutate(age=ibis.row_number().over(newest_first), timestamp_ms=epoch_ms(of_scenario[c.TIMESTAMP]))
    kept = aged.filter(aged.age < max_events)
    event = ibis.struct({"rank": -kept.age, "item": kept[c.ITEM_ID], "action": kept[c.ACTION], "ms": kept.timestamp_ms})
    users = kept.group_by(c.USER_ID).aggregate(event_timestamp=kept[c.TIMESTAMP].max(), events=event.collect())
    oldest_first = users.events.sort()  # by the first field; the engines differ on sorted aggregates
    return users.select(
        c.USER_ID,
        "event_timestamp",
        item_ids=oldest_first.map(lambda event: event["item"]),
        actions=oldest_first.map(lambda event: event["action"]),
        timestamps_ms=oldest_first.map(lambda event: event["ms"]),
    )


def events_file(folder: Path, field: str) -> Path:
    """Return the file of one field of all events, in a folder of histories."""
    return folder / f"{field}.bin"


class Histories:
    """The users of a data folder and their events; `begins_ms` has the first time of each split of `global_time`."""

    def __init__(self, data: Path) -> None:
        folder = DataFolder(data).histories
        users = pq.read_table(folder / USERS)
        self.user_ids: list[str] = users[c.USER_ID].to_pylist()
        num_events_U = users["num_events"].to_numpy().astype(np.int64)
        self.begins_ms = _begins_ms(read_split(data))
        self.num_train_U: Ints = users["num_train"].to_numpy().astype(np.int64)
        self.end_U: Ints = np.cumsum(num_events_U)
        self.begin_U: Ints = self.end_U - num_events_U
        self.item_N, self.action_N, self.scenario_N, self.timestamp_ms_N, self.split_N = (
            np.asarray(np.memmap(events_file(folder, name), dtype=dtype, mode="r")) for name, dtype in FIELDS.items()
        )

    def __len__(self) -> int:
        return len(self.user_ids)

    def train_of(self, user: int, until: int = TRAIN) -> History:
        """Return the user's training events, or with `until` those of the splits up to it."""
        return self.known(user, int(self.end_U[user]), until + 1)

    def num_events(self, until: int) -> Ints:
        """Return how many events each user has in the splits up to `until`, `num_U`."""
        num_U = np.zeros(len(self), dtype=np.int64)
        for block in self.blocks():
            index_X = block.start + np.flatnonzero(self.split_N[block] <= until)
            num_U += np.bincount(self.users_of(index_X), minlength=len(self))
        return num_U

    def known(self, user: int, end: int, split: int) -> History:
        """Return the user's events of the splits before `split`, up to index `end` (exclusive) of the arrays."""
        begin = int(self.begin_U[user])
        is_known_L = self.split_N[begin:end] < split
        fields = (self.item_N, self.action_N, self.scenario_N, self.timestamp_ms_N)
        return History(*(field[begin:end][is_known_L].astype(np.int64) for field in fields))

    def targets(self, user: int, scenario: int, split: int) -> Ints:
        """Return the indices in the arrays of the user's events of one scenario and split, oldest first."""
        begin, end = int(self.begin_U[user]), int(self.end_U[user])
        is_target_L = (self.scenario_N[begin:end] == scenario) & (self.split_N[begin:end] == split)
        return begin + np.flatnonzero(is_target_L)

    def users_with_targets(self, scenario: int, split: int) -> Ints:
        """Return the users with an event of one scenario and split, in order."""
        users = []
        for block in self.blocks():
            is_target_B = (self.scenario_N[block] == scenario) & (self.split_N[block] == split)
            index_X = block.start + np.flatnonzero(is_target_B)
            users.append(np.unique(self.users_of(index_X)))
        return np.unique(np.concatenate(users))

    @property
    def has_cutoff(self) -> bool:
        """Whether the split is at one time; otherwise it leaves each user's last events out."""
        return bool(self.begins_ms)

    def users_of(self, index_X: Ints) -> Ints:
        """Return the user of each event, given by its index in the arrays."""
        return np.searchsorted(self.end_U, index_X, side="right")

    def blocks(self) -> list[slice]:
        """Return slices that cover all events, for a scan in blocks."""
        num_events = len(self.item_N)
        return [slice(s, min(s + EVENTS_PER_BLOCK, num_events)) for s in range(0, num_events, EVENTS_PER_BLOCK)]


def _begins_ms(split: SplitRule) -> dict[int, int]:
    if split.policy != "global_time":
        return {}
    return {VALIDATION: split.validation_start_ms, TEST: split.test_start_ms}


def train_counts(histories: Histories, num_items: int, num_scenarios: int, until: int = TRAIN) -> Ints:
    """Return how often each item occurs in each scenario, in training or the splits up to `until`, `counts_SN`."""
    counts_SN = np.zeros((num_scenarios, num_items), dtype=np.int64)
    for block in histories.blocks():
        is_train = histories.split_N[block] <= until
        np.add.at(counts_SN, (histories.scenario_N[block][is_train], histories.item_N[block][is_train]), 1)
    return counts_SN


def first_ms(histories: Histories, num_items: int, until: int = TRAIN) -> Ints:
    """Return the time of each item's first event in the splits up to `until`, `first_ms_N`; `NEVER` without one."""
    first_ms_N = np.full(num_items, NEVER, dtype=np.int64)
    for block in histories.blocks():
        is_known_B = histories.split_N[block] <= until
        np.minimum.at(first_ms_N, histories.item_N[block][is_known_B], histories.timestamp_ms_N[block][is_known_B])
    return first_ms_N


def newest_train_ms(histories: Histories, until: int = TRAIN) -> int:
    """Return the time of the newest event of training, or of the splits up to `until`; there must be one."""
    times = (histories.timestamp_ms_N[block][histories.split_N[block] <= until] for block in histories.blocks())
    return max(int(time_ms_N.max()) for time_ms_N in times if len(time_ms_N))
