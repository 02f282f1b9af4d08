"""Users: which users of a scenario are compared, and what their events say.

Events are read in batches; memory is bounded by the number of users and of measures.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow.compute as pc

from redrec.data import columns as c
from redrec.data.tables import batches, read, write
from redrec.drift.columns import most_frequent
from redrec.drift.config import DriftConfig
from redrec.drift.interests import SAMPLE, RandomFeatures, vectors
from redrec.drift.logs import VECTOR, Logs
from redrec.drift.measures import IS_CURRENT, MAX_LEVELS, QUANTILES, USER, Column, LevelColumn, RankColumn, UserSums
from redrec.drift.verdicts import Window

NUMBER = "_number"
WINDOWS: tuple[Window, Window] = ("reference", "current")
USERS, EVENTS = "chosen_users.parquet", "events_of_scenario.parquet"


class Chosen(NamedTuple):
    """The users that are compared, numbered by scenario, and how many there are in all."""

    users: ir.Table  # c.SCENARIO, c.USER_ID, USER
    num_users: dict[str, dict[Window, int]]  # by scenario and window
    num_events: dict[str, dict[Window, int]]


def choose_users(logs: Logs, config: DriftConfig, scratch: Path) -> Chosen:
    """Return all users of each scenario, or `max_users` of them by the hash of their ids."""
    events = both(logs)
    is_current = events[IS_CURRENT]
    seen = events.group_by([c.SCENARIO, c.USER_ID]).aggregate(
        reference=(~is_current).cast("int64").sum(), current=is_current.cast("int64").sum()
    )
    counts = seen.group_by(c.SCENARIO).aggregate(
        **{f"users_{name}": (seen[name] > 0).cast("int64").sum() for name in WINDOWS},
        **{f"events_{name}": seen[name].sum() for name in WINDOWS},
    )
    order = ibis.window(group_by=c.SCENARIO, order_by=[seen[c.USER_ID].hash(), seen[c.USER_ID]])
    numbered = seen.select(c.SCENARIO, c.USER_ID, ibis.row_number().over(order).name(USER))
    write(numbered.filter(numbered[USER] < config.max_users), scratch / USERS)
    rows = sorted(counts.to_pyarrow().to_pylist(), key=lambda row: row[c.SCENARIO])
    return Chosen(
        read(events.get_backend(), scratch / USERS, "users"),
        {row[c.SCENARIO]: _by_window(row, "users") for row in rows},
        {row[c.SCENARIO]: _by_window(row, "events") for row in rows},
    )


def _by_window(row: dict[str, Any], what: str) -> dict[Window, int]:
    return {name: row[f"{what}_{name}"] for name in WINDOWS}


def both(logs: Logs) -> ir.Table:
    """Return the events of both windows."""
    reference = logs.reference.mutate(**{IS_CURRENT: ibis.literal(False)})
    return ibis.union(reference, logs.current.mutate(**{IS_CURRENT: ibis.literal(True)}))


class ScenarioEvents(NamedTuple):
    """The events of a scenario's chosen users, with USER and IS_CURRENT."""

    events: ir.Table
    logs: Logs
    num_users: int
    scratch: Path

    def sums(self) -> UserSums:
        """Return the sums of what is measured of numbers and levels."""
        numeric = [name for name, kind in self.logs.types.items() if kind == "numeric"]
        categorical = [name for name, kind in self.logs.types.items() if kind == "categorical"]
        columns: dict[str, Column] = {name: RankColumn(name, cuts) for name, cuts in self._cuts(numeric).items()}
        levels = {name: most_frequent(self.events, name, MAX_LEVELS) for name in categorical}
        columns |= {name: LevelColumn(name, levels[name]) for name in categorical}
        return self._summed(self.events, columns)

    def vector_sums(self, name: str, config: DriftConfig) -> UserSums | None:
        """Return the sums of the features of a column of vectors, of a few events per user; None without any."""
        events = self.events
        if name == VECTOR and self.logs.vectors is not None:
            events = events.inner_join(self.logs.vectors, c.ITEM_ID)
        events = events.filter(events[name].notnull())
        order = ibis.window(group_by=[USER, IS_CURRENT], order_by=_shuffled(events))
        numbered = events.select(USER, IS_CURRENT, name, ibis.row_number().over(order).name(NUMBER))
        few = numbered.filter(numbered[NUMBER] < config.events_per_user)
        sample = few.order_by([few[NUMBER], few[USER].hash()]).limit(SAMPLE)[name].to_pyarrow().combine_chunks()
        lengths = Counter(pc.list_value_length(sample).to_pylist())
        if not lengths:
            return None
        sample_ND, is_whole_N = vectors(sample, lengths.most_common(1)[0][0])
        return self._summed(few, {name: RandomFeatures(name, sample_ND[is_whole_N], config.seed)})

    def _summed(self, events: ir.Table, columns: Mapping[str, Column]) -> UserSums:
        sums = UserSums(columns, self.num_users)
        for batch in batches(events.select(USER, IS_CURRENT, *columns), self.scratch):
            sums.add(batch)
        return sums

    def _cuts(self, names: list[str]) -> dict[str, Any]:
        """Return quantiles of the finite values."""
        if not names:
            return {}
        quantiles = {
            name: self.events[name].approx_quantile(QUANTILES.tolist(), where=_is_finite(self.events[name]))
            for name in names
        }
        (row,) = self.events.aggregate(**quantiles).to_pyarrow().to_pylist()
        return {name: np.array(row[name] or [0.0]) for name in names}


def scenario_events(logs: Logs, chosen: Chosen, scenario: str, scratch: Path) -> ScenarioEvents:
    """Return the scenario's events, read from one file of `scratch`."""
    events = both(logs)
    users = chosen.users.filter(chosen.users[c.SCENARIO] == scenario).drop(c.SCENARIO)
    joined = events.filter(events[c.SCENARIO] == scenario).inner_join(users, c.USER_ID)
    write(joined.select(USER, IS_CURRENT, c.TIMESTAMP, c.ITEM_ID, *logs.types), scratch / EVENTS)
    own = read(events.get_backend(), scratch / EVENTS, "events")
    return ScenarioEvents(own, logs, users.count().to_pyarrow().as_py(), scratch)


def _is_finite(column: ir.FloatingValue) -> ir.BooleanValue:
    return ~column.isinf() & column.notnull()


def _shuffled(events: ir.Table) -> list[ir.Value]:
    """Return an order of events that depends on nothing that they say."""
    return [(events[c.TIMESTAMP].cast("string") + events[c.ITEM_ID]).hash()]
