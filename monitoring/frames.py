"""Frames: a scenario's users in rows, in the reference and now, for the plots of a report.

A number is the mean over a user's events, a category the user's most frequent one. Only the frames are in memory: of
many users a sample by the hash of their ids, and of many categories the most frequent ones of the reference. Vectors
are left out, and so is a number that no user has in one of the two windows; the verdict names it.
"""

from typing import TYPE_CHECKING, NamedTuple

import ibis
import ibis.expr.types as ir

from monitoring.texts import label
from redrec.data import columns as c
from redrec.drift.columns import most_frequent
from redrec.drift.logs import Logs

if TYPE_CHECKING:
    import pandas as pd

NUM_EVENTS = "num_events"
MAX_USERS = 5_000  # per window; a distance between samples of so many users is known to about .05
MAX_LEVELS = 8  # the distance of two equal windows grows with the number of levels; the others are one level
OTHERS, NO_VALUE = "(rest)", "(none)"


class ScenarioFrames(NamedTuple):
    """Equal columns: NUM_EVENTS, and those of the logs by their labels; `numeric` and `categorical` name them."""

    reference: "pd.DataFrame"
    current: "pd.DataFrame"
    numeric: list[str]
    categorical: list[str]

    @property
    def has_users(self) -> bool:
        return min(len(self.reference), len(self.current)) > 0


def scenario_frames(logs: Logs, scenario: str) -> ScenarioFrames:
    """Return the users of a scenario; the same call on the same logs returns the same users in the same order."""
    reference, current = _sample(logs.reference, scenario), _sample(logs.current, scenario)
    numbers = [name for name, kind in logs.types.items() if kind == "numeric"]
    levels = {
        name: most_frequent(reference, name, MAX_LEVELS) for name, kind in logs.types.items() if kind == "categorical"
    }
    before, now = _users(reference, numbers, levels), _users(current, numbers, levels)
    categorical = list(dict.fromkeys(map(label, levels)))  # two names may have one label
    numeric = [name for name in before.columns if name not in categorical and _has_values(name, before, now)]
    shown = [*numeric, *categorical]
    return ScenarioFrames(before[shown], now[shown], numeric, categorical)


def _has_values(column: str, *frames: "pd.DataFrame") -> bool:
    return all(frame[column].notna().any() for frame in frames)


def _sample(log: ir.Table, scenario: str) -> ir.Table:
    events = log.filter(log[c.SCENARIO] == scenario)
    users = events.select(c.USER_ID).distinct()
    kept = users.order_by(users[c.USER_ID].hexdigest("md5")).limit(MAX_USERS)
    return events.semi_join(kept, c.USER_ID)


def _users(events: ir.Table, numbers: list[str], levels: dict[str, list[str]]) -> "pd.DataFrame":
    import pandas as pd

    means = {f"mean_{number}": _finite(events[name]).mean() for number, name in enumerate(numbers)}
    users = events.group_by(c.USER_ID).aggregate(num_events=events.count(), **means).to_pandas().set_index(c.USER_ID)
    columns = {NUM_EVENTS: users["num_events"]}
    for name, mean in zip(numbers, means, strict=True):
        columns[label(name)] = users[mean].astype("float64")
    for name, known in levels.items():
        columns[label(name)] = _most_frequent(events, name, known).map(label)
    return pd.DataFrame(columns).sort_index().reset_index(drop=True)


def _finite(column: ir.Column) -> ir.Column:
    return (column.isinf() | column.isnan()).ifelse(ibis.null("float64"), column)


def _most_frequent(events: ir.Table, column: str, known: list[str]) -> "pd.Series":
    """Return each user's most frequent level; of equally frequent ones the first by name."""
    value = events[column].fill_null(NO_VALUE)
    level = ibis.ifelse(value.isin([*known, NO_VALUE]), value, OTHERS)
    named = events.select(c.USER_ID, level=level)
    counts = named.group_by([c.USER_ID, "level"]).aggregate(num=named.count())
    order = ibis.window(group_by=c.USER_ID, order_by=[ibis.desc(counts.num), counts.level])
    ranked = counts.mutate(rank=ibis.row_number().over(order))
    return ranked.filter(ranked["rank"] == 0).to_pandas().set_index(c.USER_ID)["level"]
