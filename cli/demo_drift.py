"""Demo drift: the last two whole weeks of the example events, the second with a planted change in one scenario."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.table import indented, table
from redrec.data import columns as c

if TYPE_CHECKING:
    from redrec.drift.verdicts import Drift

WEEK = timedelta(days=7)
EVERY, ACTION = 3, "hide"  # one of so many events is planted, and has this action


class PlantedDrift(NamedTuple):
    scenario: str
    drift: "Drift"


def planted_drift(events: Path, items: Path, reference: Path, current: Path) -> PlantedDrift:
    """Write both weeks, and return what `redrec drift` says of them."""
    from redrec.drift.config import DriftConfig
    from redrec.drift.drift import opened
    from redrec.drift.logs import Sources

    config = DriftConfig()
    scenario = write_weeks(events, reference, current, config.min_users)
    with opened(Sources(reference, current, items)) as windows:
        return PlantedDrift(scenario, windows.drift(config))


def write_weeks(events: Path, reference: Path, current: Path, min_users: int) -> str:
    """Write both weeks, and return the scenario with the change: the smallest with `min_users` in each week."""
    newest = pc.max(pq.read_table(events, columns=[c.TIMESTAMP])[c.TIMESTAMP]).as_py()
    end = newest.replace(hour=0, minute=0, second=0, microsecond=0)  # the newest day is seldom whole
    last = pq.read_table(events, filters=[(c.TIMESTAMP, ">=", end - 2 * WEEK), (c.TIMESTAMP, "<", end)])
    is_current = pc.greater_equal(last[c.TIMESTAMP], pa.scalar(end - WEEK, last.schema.field(c.TIMESTAMP).type))
    before, now = last.filter(pc.invert(is_current)), last.filter(is_current)
    scenario = _smallest((before, now), min_users)
    reference.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(before, reference)
    pq.write_table(_changed(now, scenario), current)
    return scenario


def _smallest(weeks: tuple[pa.Table, pa.Table], min_users: int) -> str:
    """Return the scenario with the fewest users of those with enough in each week."""
    before, now = (_users_by_scenario(week) for week in weeks)
    fewest = {name: min(users, before.get(name, 0)) for name, users in now.items()}
    enough = [name for name in fewest if fewest[name] >= min_users]
    return min(enough or fewest, key=lambda name: fewest[name])


def _users_by_scenario(events: pa.Table) -> dict[str, int]:
    counted = events.group_by(c.SCENARIO).aggregate([(c.USER_ID, "count_distinct")])
    return dict(zip(*(column.to_pylist() for column in counted.columns), strict=True))


def _changed(events: pa.Table, scenario: str) -> pa.Table:
    is_planted = pc.equal(events[c.SCENARIO], scenario).to_numpy() & (np.arange(len(events)) % EVERY == 0)
    action = pa.array(np.where(is_planted, ACTION, events[c.ACTION].to_numpy()), pa.string())
    return events.set_column(events.schema.get_field_index(c.ACTION), c.ACTION, action)


def planted_text(planted: PlantedDrift) -> str:
    """Return the verdicts beside what was planted."""
    rows = [["scenario", "planted", "verdict", "reason"]]
    for name, one in planted.drift.scenarios.items():
        what = f"a third of the events are {ACTION!r}" if name == planted.scenario else "nothing"
        rows.append([name, what, one.verdict, one.reason])
    return f"Drift of the last week, changed in one scenario, from the week before:\n{indented(table(rows))}"
