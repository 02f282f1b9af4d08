"""State: what looks at an experiment have read, in a folder, so that the next one reads only rows of later days.

The folder has the users, what their days added, and the hashes of all ids, of the days that were complete in every
scenario. What is decided from it is what would be decided from the whole tables: users who meet the other arm later
lose all their days. Rows that come in later for those days do not count; a plan's `watermark_hours` waits for them.
Nothing is kept of tables with faults, since they will be corrected.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend

from redrec.atomic import replaced_folder
from redrec.config import InputError, Record, load_config
from redrec.data.tables import write
from redrec.experiments.logs import Read, log_of, read_days
from redrec.experiments.looks import complete_days, until_ms
from redrec.experiments.plan import Plan
from redrec.experiments.rows import DAY, EVENT_ID, EXPOSURE_ID, HASH, MS, NOTHING, Earlier, Files, Rows, read_rows
from redrec.experiments.sums import MS_PER_DAY, ExperimentLog
from redrec.experiments.users import before
from redrec.folders import GateState, write_json


class Counts(Record):
    """The part of a state that is no table."""

    plan_hash: str
    days: int
    exposures: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]


class Kept(NamedTuple):
    earlier: Earlier
    read: Read


def read_since(
    connection: SQLBackend, files: Files, plan: Plan, scratch: Path, through: datetime | None, state: Path
) -> ExperimentLog:
    """Return the sums of `read_log`, from the state and the rows since; then keep what is complete.

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column, or the folder holds something else.
    """
    counts = _counts(state, plan)
    is_past = counts is not None and through is not None and (through - plan.start).days < counts.days
    kept = None if counts is None or is_past else _kept(connection, counts, state)
    earlier = kept.earlier if kept else NOTHING
    rows = read_rows(connection, files, plan, scratch, through, earlier)
    read = read_days(rows, plan, scratch, kept.read if kept else None)
    log = log_of(read, rows, plan)
    through_ms = until_ms(log, plan, through)
    days = min(complete_days(scenario, plan, through_ms) for scenario in log.scenarios.values())
    is_newer = days > (counts.days if counts else 0)
    if is_newer and not any(scenario.faults for scenario in log.scenarios.values()):
        _keep(state, plan, days, read, _ids(rows, earlier, days))
    return log


def _counts(state: Path, plan: Plan) -> Counts | None:
    """Return what is kept of this plan, None if nothing is."""
    folder = GateState(state)
    if not folder.counts.exists():
        if state.exists() and any(state.iterdir()):
            raise InputError(f"{state} is no folder of `redrec gate --state`. Give that folder, or a new one.")
        return None
    counts = load_config(Counts, folder.counts)
    return counts if counts.plan_hash == plan.hash() else None


def _kept(connection: SQLBackend, counts: Counts, state: Path) -> Kept:
    folder = GateState(state)
    paths = folder.users, folder.days, folder.covariates, folder.exposure_ids, folder.event_ids
    users, days, covariates, exposure_ids, event_ids = (connection.read_parquet(path) for path in paths)
    earlier = Earlier(counts.days, {EXPOSURE_ID: exposure_ids, EVENT_ID: event_ids})
    return Kept(earlier, Read(users, days, covariates, counts.exposures, counts.outcomes))


def _ids(rows: Rows, earlier: Earlier, days: int) -> dict[str, ir.Table]:
    """Return the hashes of all ids of the days."""
    ids = {}
    for key, table in rows.ids.items():
        new = table.filter(table[MS] < days * MS_PER_DAY).select(HASH)
        ids[key] = ibis.union(earlier.ids[key], new) if key in earlier.ids else new
    return ids


def _keep(state: Path, plan: Plan, days: int, read: Read, ids: dict[str, ir.Table]) -> None:
    with replaced_folder(state) as path:
        folder = GateState(path)
        write(before(read.users, days * MS_PER_DAY), folder.users)
        write(read.days.filter(read.days[DAY] < days), folder.days)
        write(read.covariates, folder.covariates)
        write(ids[EXPOSURE_ID], folder.exposure_ids)
        write(ids[EVENT_ID], folder.event_ids)
        exposures = [row for row in read.exposures if row[DAY] < days]
        outcomes = [row for row in read.outcomes if row[DAY] < days]
        counts = Counts(plan_hash=plan.hash(), days=days, exposures=exposures, outcomes=outcomes)
        write_json(folder.counts, counts.model_dump())
