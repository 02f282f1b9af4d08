"""Histories: all events of a user in time order, as memory-mapped arrays, and the part that each event is of.

One flat array per field over all users, sorted by user and time, and one row per user that says how many events
are the user's. Opening it reads the users alone; the events stay on disk until a user is asked for.

An event is of one part: training, validation or test. Without `has_validation` nothing is set aside for validation.

| split                         | test                              | validation                     |
|-------------------------------|-----------------------------------|--------------------------------|
| `global_time`                 | from one moment on                | from an earlier moment on      |
| `leave_last_out`              | the last event of a user          | the one before                 |
| `leave_last_out_per_scenario` | the last of a user in a scenario  | the one before in the scenario |

The first is that of production: what was known at a moment predicts what came after. The others are those of most
papers; they take the test event first and never the first event of a user (or of a user in a scenario). In the third
a part is no stretch of a user's time, so what is known at a target is of an earlier part and comes before it.

Shapes: U users, N events of all users, L events of one user, S scenarios.
"""

from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow.parquet as pq

from redrec.data import columns as c
from redrec.data.split import Split, read_split
from redrec.data.tables import epoch_ms
from redrec.model.history import MS_PER_DAY, History, Ints

TRAIN, VALIDATION, TEST = 0, 1, 2
FIELDS = {"item": np.int32, "action": np.int16, "scenario": np.int16, "timestamp_ms": np.int64, "part": np.int8}
EVENTS_PER_BLOCK = 4_000_000  # of a scan over all users: some 100 MB


def scenario_history(events: ir.Table, scenario: str, max_events: int) -> ir.Table:
    """One row per user of the scenario: its newest `max_events` events as parallel arrays, oldest first.

    Columns: user_id, event_timestamp (of the newest event, UTC), item_ids, actions, timestamps_ms.
    """
    of_scenario = events.filter(events[c.SCENARIO] == scenario)
    newest_first = ibis.window(group_by=c.USER_ID, order_by=[ibis.desc(of_scenario[name]) for name in c.EVENT_ORDER])
    aged = of_scenario.mutate(age=ibis.row_number().over(newest_first), timestamp_ms=epoch_ms(of_scenario[c.TIMESTAMP]))
    kept = aged.filter(aged.age < max_events)
    event = ibis.struct({"at": -kept.age, "item": kept[c.ITEM_ID], "action": kept[c.ACTION], "ms": kept.timestamp_ms})
    users = kept.group_by(c.USER_ID).aggregate(event_timestamp=kept[c.TIMESTAMP].max(), events=event.collect())
    oldest_first = users.events.sort()  # by the first field; engines differ on ordered aggregates, not on this
    return users.select(
        c.USER_ID,
        "event_timestamp",
        item_ids=oldest_first.map(lambda event: event["item"]),
        actions=oldest_first.map(lambda event: event["action"]),
        timestamps_ms=oldest_first.map(lambda event: event["ms"]),
    )


class Histories:
    """The users of a data folder and their events; `begins_ms` is when a part begins, where a moment divides them."""

    def __init__(self, folder: Path) -> None:
        users = pq.read_table(folder / "users.parquet")
        self.user_ids: list[str] = users[c.USER_ID].to_pylist()
        num_events_U = users["num_events"].to_numpy().astype(np.int64)
        self.begins_ms = _begins_ms(read_split(folder.parent))
        self.num_train_U: Ints = users["num_train"].to_numpy().astype(np.int64)
        self.end_U: Ints = np.cumsum(num_events_U)
        self.begin_U: Ints = self.end_U - num_events_U
        self.item_N, self.action_N, self.scenario_N, self.timestamp_ms_N, self.part_N = (
            np.asarray(np.memmap(folder / f"{name}.bin", dtype=dtype, mode="r")) for name, dtype in FIELDS.items()
        )

    def __len__(self) -> int:
        return len(self.user_ids)

    def train_of(self, user: int) -> History:
        return self.known(user, int(self.end_U[user]), TRAIN + 1)

    def known(self, user: int, end: int, part: int) -> History:
        """Return the user's events of the parts before `part` that stand before place `end` of the arrays."""
        begin = int(self.begin_U[user])
        is_known_L = self.part_N[begin:end] < part
        fields = (self.item_N, self.action_N, self.scenario_N, self.timestamp_ms_N)
        return History(*(field[begin:end][is_known_L].astype(np.int64) for field in fields))

    def targets(self, user: int, scenario: int, part: int) -> Ints:
        """Return the places in the arrays of the user's events of one scenario and part, oldest first."""
        begin, end = int(self.begin_U[user]), int(self.end_U[user])
        is_target_L = (self.scenario_N[begin:end] == scenario) & (self.part_N[begin:end] == part)
        return begin + np.flatnonzero(is_target_L)

    def users_with_targets(self, scenario: int, part: int) -> Ints:
        """Return the users with an event of one scenario and part, in order."""
        found = []
        for block in self.blocks():
            places = block.start + np.flatnonzero((self.scenario_N[block] == scenario) & (self.part_N[block] == part))
            found.append(np.unique(np.searchsorted(self.end_U, places, side="right")))
        return np.unique(np.concatenate(found))

    def blocks(self) -> list[slice]:
        """Return what to scan all events by."""
        num_events = len(self.item_N)
        return [slice(s, min(s + EVENTS_PER_BLOCK, num_events)) for s in range(0, num_events, EVENTS_PER_BLOCK)]


def _begins_ms(split: Split) -> dict[int, int]:
    if split.policy != "global_time":
        return {}
    return {VALIDATION: split.validation_start_ms, TEST: split.test_start_ms}


def train_counts(histories: Histories, num_items: int, num_scenarios: int) -> Ints:
    """Return how often each item occurs in the training events of each scenario, `counts_SN`."""
    counts_SN = np.zeros((num_scenarios, num_items), dtype=np.int64)
    for block in histories.blocks():
        is_train = histories.part_N[block] == TRAIN
        np.add.at(counts_SN, (histories.scenario_N[block][is_train], histories.item_N[block][is_train]), 1)
    return counts_SN


def recent_counts(histories: Histories, part: int, num_items: int, num_scenarios: int) -> Ints:
    """Return how often each item occurs lately in each scenario, in the parts before `part`, `counts_WSN`.

    The windows are those of `redrec.data.statistics`: they end with the newest event of those parts.
    """
    newest_ms = _newest_ms(histories, part)
    counts_WSN = np.zeros((len(c.WINDOWS_DAYS), num_scenarios, num_items), dtype=np.int64)
    for block in histories.blocks():
        age_ms_B = np.where(histories.part_N[block] < part, newest_ms - histories.timestamp_ms_N[block], np.inf)
        for counts_SN, days in zip(counts_WSN, c.WINDOWS_DAYS, strict=True):
            is_in_B = age_ms_B <= days * MS_PER_DAY
            np.add.at(counts_SN, (histories.scenario_N[block][is_in_B], histories.item_N[block][is_in_B]), 1)
    return counts_WSN


def newest_train_ms(histories: Histories) -> int:
    """Return the time of the newest training event; there is one."""
    return _newest_ms(histories, TRAIN + 1)


def _newest_ms(histories: Histories, part: int) -> int:
    times = (histories.timestamp_ms_N[block][histories.part_N[block] < part] for block in histories.blocks())
    return max(int(time_ms_N.max()) for time_ms_N in times if len(time_ms_N))
