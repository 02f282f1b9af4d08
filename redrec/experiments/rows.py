"""Rows: the exposures and outcomes of a plan, each once, and what is faulty among them.

- Exact duplicates count once. An id with two contents, a row without a time, a value that is no finite number, and an
  arm that the plan does not name are faults: nothing is decided from such a scenario.
- Rows are chosen by their time column itself, so that a file in time order is read only where they are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.tables import epoch_ms, read, write
from redrec.data.times import time_format, utc_times
from redrec.experiments.plan import Plan
from redrec.experiments.sums import MAX_STEPS, MS_PER_DAY

EXPOSURE_ID, EXPERIMENT, ARM = "exposure_id", "experiment", "arm"
EVENT_ID, EVENT, VALUE = "event_id", "event", "value"
EXPOSURE_COLUMNS = (EXPOSURE_ID, EXPERIMENT, c.USER_ID, c.SCENARIO, ARM, c.TIMESTAMP)
OUTCOME_COLUMNS = (EVENT_ID, c.USER_ID, c.SCENARIO, EVENT, VALUE, c.TIMESTAMP)
MS, DAY = "ms", "day"  # of a row, since the start
HASH = "hash"  # of an id
NUM_ROWS = "num_rows"


class Rows(NamedTuple):
    exposed: ir.Table  # c.SCENARIO, c.USER_ID, ARM, MS
    happened: ir.Table  # c.SCENARIO, c.USER_ID, EVENT, VALUE, MS; of a covariate before the start, with MS < 0
    faults: ir.Table  # c.SCENARIO, "fault": one row for each that is faulty
    ids: dict[str, ir.Table]  # HASH and MS of each id, by its column


class Files(NamedTuple):
    exposures: Path
    outcomes: Path


class Earlier(NamedTuple):
    """The days whose rows have been read before, and by its column the HASH of each id among them."""

    days: int = 0
    ids: Mapping[str, ir.Table] = MappingProxyType({})


NOTHING = Earlier()


def read_rows(
    connection: SQLBackend,
    files: Files,
    plan: Plan,
    scratch: Path,
    through: datetime | None,
    earlier: Earlier = NOTHING,
) -> Rows:
    """Return the rows after the earlier days, up to the plan's last day or to `through`.

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column.
    """
    exposed = _typed(read(connection, files.exposures, "exposures"), EXPOSURE_COLUMNS, "exposures")
    exposed = exposed.filter(exposed[c.SCENARIO].isin(plan.scenarios) & (exposed[EXPERIMENT] == plan.experiment))
    happened = _typed(read(connection, files.outcomes, "outcomes"), OUTCOME_COLUMNS, "outcomes")
    happened = happened.filter(happened[c.SCENARIO].isin(plan.scenarios) & happened[EVENT].isin(plan.events))
    happened = happened.mutate(value=happened[VALUE].cast("float64"))
    untimed = _untimed(exposed, "exposures"), _untimed(happened, "outcomes")
    since, end = plan.start + timedelta(days=earlier.days), plan.start + timedelta(days=plan.days)
    end = end if through is None else min(end, through)
    exposed = _timed(_between(exposed, since, end), plan)
    since -= timedelta(days=0 if earlier.days else plan.covariate_days)
    happened = _timed(_between(happened, since, end), plan)
    exposed, exposure_ids, exposure_faults = _once(exposed.drop(EXPERIMENT), EXPOSURE_ID, "exposures", scratch, earlier)
    happened, event_ids, outcome_faults = _once(happened, EVENT_ID, "outcomes", scratch, earlier)
    is_planned = exposed[ARM].isin([arm.name for arm in plan.arms])
    faults = ibis.union(*untimed, exposure_faults, outcome_faults, _unknown_arms(exposed, plan))
    return Rows(exposed.filter(is_planned), happened, faults, {EXPOSURE_ID: exposure_ids, EVENT_ID: event_ids})


def _typed(table: ir.Table, names: Sequence[str], name: str) -> ir.Table:
    """Return the named columns; a column of times as it is, so that a file's own bounds of it are used."""
    if absent := [column for column in names if column not in table.columns]:
        raise InputError(
            f"The {name} have no column {', '.join(absent)}; they have {', '.join(table.columns)}. "
            f"Give a table with {', '.join(names)}."
        )
    table = table.select(*names)
    if table[c.TIMESTAMP].type().is_timestamp():
        return table
    return table.mutate(timestamp=utc_times(table[c.TIMESTAMP], time_format(table, name).unit))


def _untimed(table: ir.Table, name: str) -> ir.Table:
    untimed = table.filter(table[c.TIMESTAMP].isnull())
    return untimed.select(c.SCENARIO, fault=ibis.literal(f"{name} without a time"))


def _between(table: ir.Table, since: datetime, end: datetime) -> ir.Table:
    time = table[c.TIMESTAMP]
    return table.filter((time >= _literal(since, time)) & (time < _literal(end, time)))


def _literal(moment: datetime, time: ir.TimestampValue) -> ir.TimestampScalar:
    """Return the moment as a column has its times: a time without a zone is UTC."""
    moment = moment.astimezone(UTC)
    return ibis.literal(moment if time.type().timezone else moment.replace(tzinfo=None))


def _timed(table: ir.Table, plan: Plan) -> ir.Table:
    start_ms = round(plan.start.timestamp() * 1000)
    return table.mutate(ms=epoch_ms(table[c.TIMESTAMP].cast("timestamp")) - start_ms).drop(c.TIMESTAMP)


def _once(table: ir.Table, key: str, name: str, scratch: Path, earlier: Earlier) -> tuple[ir.Table, ir.Table, ir.Table]:
    """Return one row per id, the ids' hashes, and as faults the rows with the id of another.

    Few ids have a hash that repeats; those alone are compared by their contents.
    """
    hashed = table.mutate(hash=table[key].hash()).filter(table[key].notnull())
    counts = hashed.group_by(HASH).aggregate(num_rows=hashed.count())
    repeated = stored(counts.filter(counts[NUM_ROWS] > 1), scratch / f"{key}.parquet")
    others = [column for column in table.columns if column != key]
    contents = hashed.semi_join(repeated, HASH).drop(HASH).distinct()
    is_first = ibis.row_number().over(ibis.window(group_by=key, order_by=[contents[column] for column in others])) == 0
    contents = contents.mutate(is_first=is_first)
    faulty = contents.filter(~contents["is_first"]).select(c.SCENARIO)
    if key in earlier.ids:
        faulty = ibis.union(faulty, hashed.semi_join(earlier.ids[key], HASH).select(c.SCENARIO))
    faults = faulty.mutate(fault=ibis.literal(f"{name} with the {key} of another"))
    ids = hashed.select(HASH, MS)
    if not repeated.count().to_pyarrow().as_py():
        return table.select(*others), ids, faults
    kept = contents.filter(contents["is_first"]).select(*others)
    rest = table.mutate(hash=table[key].hash()).anti_join(repeated, HASH)
    return ibis.union(rest.select(*others), kept), ids, faults


def stored(table: ir.Table, path: Path) -> ir.Table:
    """Return the table read from a file, so that it is computed once.

    A file of DuckDB's holds its sums of whole numbers as floating-point ones; they are whole again.
    """
    write(table, path)
    return table.get_backend().read_parquet(path).cast(table.schema())


def _unknown_arms(exposed: ir.Table, plan: Plan) -> ir.Table:
    arms = [arm.name for arm in plan.arms]
    unknown = exposed.filter(exposed[ARM].isnull() | ~exposed[ARM].isin(arms))
    return unknown.select(c.SCENARIO, fault=ibis.literal(f"exposures of an arm other than {' and '.join(arms)}"))


def day_of(ms: ir.IntegerColumn) -> ir.IntegerColumn:
    return (ms // MS_PER_DAY).cast("int32")


def unusable_values(counts: list[dict[str, Any]], bits_E: Sequence[int], plan: Plan) -> list[dict[str, Any]]:
    """Return, as faults, the events of a scenario with a value that cannot be added; `counts` are by day.

    The sum shows it: a filter on such rows finds none, since DuckDB trusts a file's statistics, which leave NaN out.
    """
    num_rows: Counter[tuple[str, str]] = Counter()
    faults = {}
    for row in counts:
        key = row[c.SCENARIO], row[EVENT]
        num_rows[key] += row[NUM_ROWS]
        if row["num_values"] < row[NUM_ROWS] or not isfinite(row["size"]):
            faults[key] = "no finite numbers"
        elif row["size"] * 2.0 ** bits_E[plan.events.index(row[EVENT])] > MAX_STEPS:
            faults.setdefault(key, "millions of times as large as those of the first day")
    return [
        {
            c.SCENARIO: key[0],
            "fault": f"outcomes of {key[1]} among which are values that are {fault}",
            NUM_ROWS: num_rows[key],
        }
        for key, fault in sorted(faults.items())
    ]
