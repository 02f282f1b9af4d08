"""Logs: exposures and outcomes in; per scenario, arm and day the sums that statistics need out.

In DuckDB or Spark through Ibis. A user's totals grow day by day, and so do the sums of their squares and products. So
all looks are read at once, and what is held in memory grows with days and metrics, not with users.

Shapes: U users, D days, E events of the plan.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
from ibis.backends.sql import SQLBackend

from redrec.data import columns as c
from redrec.experiments.permutation import is_permuted
from redrec.experiments.plan import Plan
from redrec.experiments.rows import (
    ARM,
    DAY,
    EVENT,
    MS,
    NUM_ROWS,
    VALUE,
    Files,
    Rows,
    day_of,
    read_rows,
    stored,
    unusable_values,
)
from redrec.experiments.sums import (
    ALL_SCENARIOS,
    MS_PER_DAY,
    Added,
    ExperimentLog,
    ScenarioLog,
    Sums,
    UserLog,
    bits_of,
    sums_of,
)
from redrec.experiments.users import (
    FIRST,
    USER,
    counted,
    daily_sums,
    first_exposures,
    merged,
    new_users,
    sums_before,
    user_counts,
    user_days,
    with_arms,
    with_covariates,
)


class Read(NamedTuple):
    """What the rows of some days say: tables of the users and of what their days added, and counts by day."""

    users: ir.Table  # `redrec.experiments.users.first_exposures`
    days: ir.Table  # `redrec.experiments.users.user_days`
    covariates: ir.Table  # `redrec.experiments.users.sums_before`
    exposures: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]


def read_log(
    connection: SQLBackend, files: Files, plan: Plan, scratch: Path, through: datetime | None = None
) -> ExperimentLog:
    """Return the sums of the plan's experiment, up to its last day or to `through`.

    `scratch` is a folder for what is needed twice.

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column.
    """
    rows = read_rows(connection, files, plan, scratch, through)
    return log_of(read_days(rows, plan, scratch), rows, plan)


def read_days(rows: Rows, plan: Plan, scratch: Path, earlier: Read | None = None) -> Read:
    """Return what the rows say, added to what `earlier` rows said."""
    exposures, outcomes = _as_rows(_exposure_counts(rows.exposed, plan)), _as_rows(_outcome_counts(rows.happened))
    users = first_exposures(rows.exposed, plan)
    if earlier:
        exposures, outcomes = earlier.exposures + exposures, earlier.outcomes + outcomes
        users = merged(earlier.users, users)
    users, bits_E = stored(users, scratch / "exposed_users.parquet"), bits_of(outcomes, plan)
    days = stored(user_days(rows.happened, with_arms(users, plan), plan, bits_E), scratch / "days.parquet")
    if earlier:
        return Read(users, ibis.union(earlier.days, days), earlier.covariates, exposures, outcomes)
    covariates = stored(sums_before(rows.happened, plan, bits_E), scratch / "covariates.parquet")
    return Read(users, days, covariates, exposures, outcomes)


def log_of(read: Read, rows: Rows, plan: Plan) -> ExperimentLog:
    """Return the sums of what has been read, and the faults of its newest `rows`."""
    faults = _as_rows(_fault_counts(rows.faults))
    users = with_arms(read.users, plan)
    days = with_covariates(read.days, users, read.covariates, plan)
    outcomes = _as_rows(daily_sums(days, users, plan))
    added = Added(_as_rows(new_users(users)), _of_all(read.exposures, plan), outcomes)
    scenarios, bits_E = {}, bits_of(read.outcomes, plan)
    counts, faults = _as_rows(user_counts(users)), faults + unusable_values(read.outcomes, bits_E, plan)
    for name in _scenarios(plan):
        own, said = (_of_scenario(rows, name) for rows in (counts, faults))
        sums = sums_of(Added(*(_of_scenario(rows, name) for rows in added)), plan, bits_E)
        num_users, num_in_both = (own[0]["num_users"], own[0]["num_in_both"]) if own else (0, 0)
        of_users = _user_log(days, users.filter(users[c.SCENARIO] == name), sums, bits_E)
        words = tuple(f"{row['num_rows']:,} {row['fault']}" for row in said)
        scenarios[name] = ScenarioLog(sums, of_users, num_users, num_in_both, words)
    newest = max((row["newest"] for row in (*read.exposures, *read.outcomes)), default=-1)
    return ExperimentLog(scenarios, plan.columns, newest)


def _scenarios(plan: Plan) -> tuple[str, ...]:
    return (*plan.scenarios, ALL_SCENARIOS) if plan.applies == "shared" else plan.scenarios


def _exposure_counts(exposed: ir.Table, plan: Plan) -> ir.Table:
    is_treated = exposed[ARM] == plan.treatment.name
    by_day = exposed.group_by([c.SCENARIO, is_treated.cast("int8").name(ARM), day_of(exposed[MS]).name(DAY)])
    return by_day.aggregate(num_rows=exposed.count(), newest=exposed[MS].max())


def _outcome_counts(happened: ir.Table) -> ir.Table:
    value, by_day = happened[VALUE], happened.group_by([c.SCENARIO, EVENT, day_of(happened[MS]).name(DAY)])
    counts = {"num_rows": happened.count(), "num_values": value.count()}
    return by_day.aggregate(size=value.abs().sum().fill_null(0.0), newest=happened[MS].max(), **counts)


def _fault_counts(faults: ir.Table) -> ir.Table:
    return faults.group_by([c.SCENARIO, "fault"]).aggregate(num_rows=faults.count()).order_by("fault")


def _of_all(counts: list[dict[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    """Return the exposure counts, with a shared plan also those of all scenarios together."""
    if plan.applies == "per_scenario":
        return counts
    of_all: Counter[tuple[int, int]] = Counter()
    for row in counts:
        of_all[row[ARM], row[DAY]] += row[NUM_ROWS]
    return [
        *counts,
        *({c.SCENARIO: ALL_SCENARIOS, ARM: arm, DAY: day, NUM_ROWS: n} for (arm, day), n in of_all.items()),
    ]


def _of_scenario(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row[c.SCENARIO] == name]


def _as_rows(table: ir.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()


def _user_log(days: ir.Table, users: ir.Table, sums: Sums, bits_E: Sequence[int]) -> UserLog | None:
    """Return the users of a scenario until the last day on which a permutation is due, in the order of their ids."""
    due = [day for day, counts in enumerate(sums.num_users_AD.T.tolist()) if counts[0] and is_permuted(*counts)]
    if not due:
        return None
    users = counted(users)
    users = users.filter(users[FIRST] < (due[-1] + 1) * MS_PER_DAY)
    exposed = users.select(USER, ARM, FIRST, c.USER_ID).order_by(c.USER_ID).to_pyarrow()
    user_U = exposed[USER].to_numpy()
    order_U = np.argsort(user_U)
    table = days.filter(days[DAY] <= due[-1]).semi_join(users, USER).to_pyarrow()
    at_R = order_U[np.searchsorted(user_U, table[USER].to_numpy(), sorter=order_U)], table[DAY].to_numpy()
    total_UDE = np.zeros((len(user_U), due[-1] + 1, len(bits_E)))
    for number, bits in enumerate(bits_E):
        np.add.at(total_UDE, (*at_R, number), table[f"x_{number}"].to_numpy() * 2.0**-bits)
    first_day_U = exposed[FIRST].to_numpy() // MS_PER_DAY
    return UserLog(exposed[ARM].to_numpy().astype(np.int64), first_day_U, np.cumsum(total_UDE, axis=1))
