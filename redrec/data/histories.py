"""Histories: all events of a user in time order, as memory-mapped arrays, and where the training part ends.

One flat array per field over all users, sorted by user and time, and one row per user that says where the
user's events begin, where the training part ends, and where they end. Opening it reads the users alone; the
events stay on disk until a user is asked for.

Two splits: `global_time` (what was known at one moment predicts what came after, as in production) and
`leave_last_out` (each user's last event is the target, as in most papers). Everything before a user's
`train_end` may be learned from and put into a history; nothing at or after it may.

Shapes: U users, N events of all users.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data import columns as c
from redrec.model.history import History, Vocabulary

FIELDS = {"item": np.int32, "action": np.int16, "scenario": np.int16, "timestamp_ms": np.int64}


class Split(NamedTuple):
    """Where a user's training events end."""

    policy: str
    test_start_ms: int


def scenario_history(events: ir.Table, scenario: str, max_events: int) -> ir.Table:
    """One row per user of the scenario: its newest `max_events` events as parallel arrays, oldest first.

    Columns: user_id, event_timestamp (of the newest event, UTC), item_ids, actions, timestamps_ms.
    """
    of_scenario = events.filter(events[c.SCENARIO] == scenario)
    newest_first = ibis.window(
        group_by=c.USER_ID, order_by=[ibis.desc(of_scenario[c.TIMESTAMP]), ibis.desc(of_scenario[c.ITEM_ID])]
    )
    aged = of_scenario.mutate(age=ibis.row_number().over(newest_first), timestamp_ms=_epoch_ms(of_scenario))
    kept = aged.filter(aged.age < max_events)
    oldest_first = ibis.desc(kept.age)
    return kept.group_by(c.USER_ID).aggregate(
        event_timestamp=kept[c.TIMESTAMP].max(),
        item_ids=kept[c.ITEM_ID].collect(order_by=oldest_first),
        actions=kept[c.ACTION].collect(order_by=oldest_first),
        timestamps_ms=kept.timestamp_ms.collect(order_by=oldest_first),
    )


def _epoch_ms(events: ir.Table) -> ir.Value:
    seconds = events[c.TIMESTAMP].truncate("s").epoch_seconds().cast("int64")  # DuckDB rounds it otherwise
    return seconds * 1000 + events[c.TIMESTAMP].millisecond().cast("int64")


def write_histories(events: ir.Table, items: ir.Table, vocabulary: Vocabulary, split: Split, folder: Path) -> None:
    """Write the arrays of `events` (clean, every item known) into `folder`, batch by batch.

    `items` has the columns item_id and item_index.
    """
    folder.mkdir(parents=True)
    timed = events.mutate(timestamp_ms=_epoch_ms(events))
    rows = timed.inner_join(items, c.ITEM_ID).order_by(c.USER_ID, "timestamp_ms", c.ITEM_ID)
    ordered = folder / "_rows.parquet"
    rows.select("item_index", c.ACTION, c.SCENARIO, "timestamp_ms").to_parquet(ordered)
    with ExitStack() as stack:
        files = {name: stack.enter_context(open(folder / f"{name}.bin", "wb")) for name in FIELDS}
        for batch in pq.ParquetFile(ordered).iter_batches():
            values = {
                "item": batch["item_index"],
                "action": pc.index_in(batch[c.ACTION], pa.array(vocabulary.actions, pa.string())),
                "scenario": pc.index_in(batch[c.SCENARIO], pa.array(vocabulary.scenarios, pa.string())),
                "timestamp_ms": batch["timestamp_ms"],
            }
            for name, dtype in FIELDS.items():
                files[name].write(values[name].to_numpy(zero_copy_only=False).astype(dtype).tobytes())
    ordered.unlink()
    _users(rows, split).to_parquet(folder / "users.parquet")


def _users(rows: ir.Table, split: Split) -> ir.Table:
    users = rows.group_by(c.USER_ID).aggregate(
        num_events=rows.count(), num_before=(rows.timestamp_ms < split.test_start_ms).sum()
    )
    last_out = ibis.greatest(users.num_events - 1, 1)
    num_train = users.num_before if split.policy == "global_time" else last_out
    return users.select(c.USER_ID, "num_events", num_train=num_train).order_by(c.USER_ID)


class Histories:
    """The users of a data folder and their events; `events_of` and `train_of` return a `History`."""

    def __init__(self, folder: Path) -> None:
        users = pq.read_table(folder / "users.parquet")
        self.user_ids: list[str] = users[c.USER_ID].to_pylist()
        num_events_U = users["num_events"].to_numpy().astype(np.int64)
        self.end_U: NDArray[np.int64] = np.cumsum(num_events_U)
        self.begin_U: NDArray[np.int64] = self.end_U - num_events_U
        self.train_end_U: NDArray[np.int64] = self.begin_U + users["num_train"].to_numpy().astype(np.int64)
        self.item_N, self.action_N, self.scenario_N, self.timestamp_ms_N = (
            np.memmap(folder / f"{name}.bin", dtype=dtype, mode="r") for name, dtype in FIELDS.items()
        )

    def __len__(self) -> int:
        return len(self.user_ids)

    def train_of(self, user: int) -> History:
        return self._slice(int(self.begin_U[user]), int(self.train_end_U[user]))

    def test_of(self, user: int) -> History:
        return self._slice(int(self.train_end_U[user]), int(self.end_U[user]))

    def _slice(self, begin: int, end: int) -> History:
        fields = (self.item_N, self.action_N, self.scenario_N, self.timestamp_ms_N)
        return History(*(np.asarray(field[begin:end]).astype(np.int64) for field in fields))
