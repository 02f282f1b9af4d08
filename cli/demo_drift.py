"""Demo drift: the last two weeks of the example events, the second with a planted change in one scenario."""

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


def planted_drift(events: Path, items: Path, scenario: str, reference: Path, current: Path) -> PlantedDrift:
    """Write both weeks, and return what `redrec drift` says of them."""
    from redrec.drift.config import DriftConfig
    from redrec.drift.drift import opened
    from redrec.drift.logs import Sources

    write_weeks(events, scenario, reference, current)
    with opened(Sources(reference, current, items)) as windows:
        return PlantedDrift(scenario, windows.drift(DriftConfig()))


def write_weeks(events: Path, scenario: str, reference: Path, current: Path) -> None:
    newest = pc.max(pq.read_table(events, columns=[c.TIMESTAMP])[c.TIMESTAMP]).as_py()
    last = pq.read_table(events, filters=[(c.TIMESTAMP, ">", newest - 2 * WEEK)])
    is_current = pc.greater(last[c.TIMESTAMP], pa.scalar(newest - WEEK, last.schema.field(c.TIMESTAMP).type))
    reference.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(last.filter(pc.invert(is_current)), reference)
    pq.write_table(_changed(last.filter(is_current), scenario), current)


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
