"""Logs: exposures and outcomes in; per scenario, arm and day the sums that statistics need out.

One pass over both tables, in DuckDB or Spark through Ibis. A user's totals grow day by day, and so do the sums of their
squares and products: a day that adds `x` to a total `c` adds `2cx + x^2` to the square. So all looks are read at once,
and what is held in memory grows with days and metrics, not with users.

- A user's arm and first exposure are those of their exposures in the scenario. Of a user with two arms nothing counts.
- Exact duplicates count once. An id with two contents, a value that is no finite number, and an arm that the plan does
  not name are faults: nothing is decided from such a scenario.
- An outcome counts from the user's first exposure in the scenario on, and at most `attribution_hours` long.

Shapes: U users, D days, E events of the plan.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations_with_replacement
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.tables import epoch_ms, read, write
from redrec.experiments.permutation import is_permuted
from redrec.experiments.plan import Plan
from redrec.experiments.sums import (
    ALL_SCENARIOS,
    MS_PER_DAY,
    MS_PER_HOUR,
    ExperimentLog,
    ScenarioLog,
    Sums,
    UserLog,
    daily_sums,
)

EXPOSURE_ID, EXPERIMENT, ARM = "exposure_id", "experiment", "arm"
EVENT_ID, EVENT, VALUE = "event_id", "event", "value"
EXPOSURE_COLUMNS = (EXPOSURE_ID, EXPERIMENT, c.USER_ID, c.SCENARIO, ARM, c.TIMESTAMP)
OUTCOME_COLUMNS = (EVENT_ID, c.USER_ID, c.SCENARIO, EVENT, VALUE, c.TIMESTAMP)
MS, DAY, FIRST, HIGHEST_ARM = "ms", "day", "first", "highest_arm"
USER = "user"  # number of a user in a scenario


def read_log(
    connection: SQLBackend,
    exposures: Path,
    outcomes: Path,
    plan: Plan,
    scratch: Path,
    through: datetime | None = None,
) -> ExperimentLog:
    """Return the sums of the plan's experiment, up to its last day or to `through`.

    `scratch` is a folder for what is needed twice.

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column.
    """
    exposed = _planned(read(connection, exposures, "exposures"), EXPOSURE_COLUMNS, "exposures", plan, through)
    exposed = exposed.filter(exposed[EXPERIMENT] == plan.experiment)
    happened = _planned(read(connection, outcomes, "outcomes"), OUTCOME_COLUMNS, "outcomes", plan, through)
    happened = happened.filter(happened[EVENT].isin(plan.events))
    newest_exposure = _newest(exposed)
    exposed, exposure_faults = _once(exposed.drop(EXPERIMENT), EXPOSURE_ID, "exposures", scratch)
    happened, outcome_faults = _once(happened, EVENT_ID, "outcomes", scratch)
    faults = ibis.union(exposure_faults, outcome_faults, _unknown_arms(exposed, plan))
    users = _users(exposed.filter(exposed[ARM].isin([arm.name for arm in plan.arms])), plan)
    users = _stored(users, scratch / "exposed_users.parquet")
    days = _stored(_user_days(exposed, happened, users, plan), scratch / "days.parquet")
    daily, counts = _as_rows(_daily_sums(days, users, plan)), _as_rows(_user_counts(users))
    totals = _as_rows(_event_totals(happened))
    words = _as_rows(_fault_counts(faults)) + _unusable_values(totals)
    newest = max([newest_exposure, *(row["newest"] for row in totals)])
    scenarios = {}
    for name in _scenarios(plan):
        own, of_days, said = (_of_scenario(rows, name) for rows in (counts, daily, words))
        sums = daily_sums(of_days, plan)
        num_users, num_in_both = (own[0]["num_users"], own[0]["num_in_both"]) if own else (0, 0)
        faulty = tuple(f"{row['num_rows']:,} {row['fault']}" for row in said)
        scenarios[name] = ScenarioLog(sums, _user_log(days, users, name, sums, plan), num_users, num_in_both, faulty)
    return ExperimentLog(scenarios, plan.events, newest)


def _scenarios(plan: Plan) -> tuple[str, ...]:
    return (*plan.scenarios, ALL_SCENARIOS) if plan.applies == "shared" else plan.scenarios


def _planned(table: ir.Table, names: Sequence[str], name: str, plan: Plan, through: datetime | None) -> ir.Table:
    """Return the named columns, and `ms` since the start, of the plan's scenarios and days, before `through`."""
    if absent := [column for column in names if column not in table.columns]:
        raise InputError(
            f"The {name} have no column {', '.join(absent)}; they have {', '.join(table.columns)}. "
            f"Give a Parquet file with {', '.join(names)}."
        )
    start_ms = round(plan.start.timestamp() * 1000)
    end_ms = plan.days * MS_PER_DAY
    if through is not None:
        end_ms = min(end_ms, round(through.timestamp() * 1000) - start_ms)
    table = table.select(*names).mutate(ms=epoch_ms(table[c.TIMESTAMP].cast("timestamp")) - start_ms).drop(c.TIMESTAMP)
    if VALUE in names:
        table = table.mutate(value=table[VALUE].cast("float64"))
    is_inside = table[c.SCENARIO].isin(plan.scenarios) & (table[MS] >= 0) & (table[MS] < end_ms)
    return table.filter(is_inside)


def _newest(table: ir.Table) -> int:
    newest = table[MS].max().to_pyarrow().as_py()
    return -1 if newest is None else newest


def _once(table: ir.Table, key: str, name: str, scratch: Path) -> tuple[ir.Table, ir.Table]:
    """Return one row per id, and as faults the scenarios of ids that have several contents."""
    counts = table.group_by(key).aggregate(num_rows=table.count())
    repeated = _stored(counts.filter(counts["num_rows"] > 1), scratch / f"{key}.parquet")
    others = [column for column in table.columns if column != key]
    contents = table.semi_join(repeated, key).distinct()
    is_first = ibis.row_number().over(ibis.window(group_by=key, order_by=[contents[column] for column in others])) == 0
    contents = contents.mutate(is_first=is_first)
    faults = contents.filter(~contents["is_first"]).select(
        c.SCENARIO, fault=ibis.literal(f"{name} with the {key} of another")
    )
    kept = contents.filter(contents["is_first"]).select(*others)
    return ibis.union(table.anti_join(repeated, key).select(*others), kept), faults


def _stored(table: ir.Table, path: Path) -> ir.Table:
    """Return the table read from a file, so that it is computed once."""
    write(table, path)
    return table.get_backend().read_parquet(path)


def _unknown_arms(exposed: ir.Table, plan: Plan) -> ir.Table:
    arms = [arm.name for arm in plan.arms]
    unknown = exposed.filter(exposed[ARM].isnull() | ~exposed[ARM].isin(arms))
    return unknown.select(c.SCENARIO, fault=ibis.literal(f"exposures of an arm other than {' and '.join(arms)}"))


def _event_totals(happened: ir.Table) -> ir.Table:
    value, of_events = happened[VALUE], happened.group_by([c.SCENARIO, EVENT])
    counts = {"num_rows": happened.count(), "num_values": value.count()}
    return of_events.aggregate(total=value.sum(), newest=happened[MS].max(), **counts)


def _unusable_values(totals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return scenario and words of the events with a value that is no finite number.

    The sum shows it: a filter on such rows finds none, since DuckDB trusts a file's statistics, which leave NaN out.
    """
    faulty = [row for row in totals if row["num_values"] < row["num_rows"] or not isfinite(row["total"])]
    fault = "outcomes of {} among which are values that are no finite numbers"
    return [{**row, "fault": fault.format(row[EVENT])} for row in sorted(faulty, key=itemgetter(EVENT))]


def _users(exposed: ir.Table, plan: Plan) -> ir.Table:
    """Return number, scenario, id, arm and first exposure of each user, and whether they were in both arms."""
    users = _by_user(exposed)
    if plan.applies == "per_scenario":
        users = users.mutate(is_in_both=users[ARM] != users[HIGHEST_ARM])
    else:
        whole = _by_user(exposed.mutate(scenario=ibis.literal(ALL_SCENARIOS)))
        arms = whole.select(c.USER_ID, is_in_both=whole[ARM] != whole[HIGHEST_ARM])
        users = ibis.union(users, whole).inner_join(arms, c.USER_ID)
    return users.drop(HIGHEST_ARM).mutate(user=ibis.row_number())


def _by_user(exposed: ir.Table) -> ir.Table:
    by_user = exposed.group_by([c.SCENARIO, c.USER_ID])
    return by_user.aggregate(arm=exposed[ARM].min(), highest_arm=exposed[ARM].max(), first=exposed[MS].min())


def _user_days(exposed: ir.Table, happened: ir.Table, users: ir.Table, plan: Plan) -> ir.Table:
    """Return, per user and day, what the day added: the user, exposures, values and rows of each event."""
    if plan.applies == "shared":
        exposed = ibis.union(exposed, exposed.mutate(scenario=ibis.literal(ALL_SCENARIOS)))
        happened = ibis.union(happened, happened.mutate(scenario=ibis.literal(ALL_SCENARIOS)))
    users = users.filter(~users["is_in_both"]).select(c.SCENARIO, c.USER_ID, USER, FIRST)
    keys = [c.SCENARIO, c.USER_ID]
    seen = exposed.inner_join(users, keys).mutate(event=ibis.literal(None, "string"), value=ibis.literal(0.0))
    after = happened.inner_join(users, keys)
    is_after = after[MS] >= after[FIRST]
    if plan.attribution_hours is not None:
        is_after &= after[MS] < after[FIRST] + round(plan.attribution_hours * MS_PER_HOUR)
    columns = [USER, FIRST, MS, EVENT, VALUE]
    rows = ibis.union(seen.select(columns), after.filter(is_after).select(columns))
    rows = rows.mutate(day=(rows[MS] // MS_PER_DAY).cast("int32"))
    is_of = {number: (rows[EVENT] == event).fill_null(False) for number, event in enumerate(plan.events)}
    added = {
        "num_users": (rows[MS] == rows[FIRST]).any().cast("int64"),
        "rows_0": rows[EVENT].isnull().sum(),
        **{f"rows_{number + 1}": is_it.sum() for number, is_it in is_of.items()},
        **{f"x_{number}": rows[VALUE].sum(where=is_it).fill_null(0.0) for number, is_it in is_of.items()},
    }
    return rows.group_by([USER, DAY]).aggregate(**added)


def _daily_sums(days: ir.Table, users: ir.Table, plan: Plan) -> ir.Table:
    """Return, per scenario, arm and day, what the day added to every sum."""
    numbers = range(len(plan.events))
    before = ibis.window(group_by=USER, order_by=DAY, rows=(None, -1))
    totals = {f"c_{number}": days[f"x_{number}"].sum().over(before).fill_null(0.0) for number in numbers}
    grown = days.mutate(**totals).inner_join(users.select(USER, c.SCENARIO, ARM), USER)
    sums: dict[str, Any] = {name: grown[name].sum() for name in days.columns if name not in (USER, DAY)}
    for first, second in combinations_with_replacement(numbers, 2):
        x, y = grown[f"x_{first}"], grown[f"x_{second}"]
        product = grown[f"c_{first}"] * y + grown[f"c_{second}"] * x + x * y
        sums[f"xx_{first}_{second}"] = product.sum()
    return grown.group_by([c.SCENARIO, ARM, DAY]).aggregate(**sums)


def _user_counts(users: ir.Table) -> ir.Table:
    return users.group_by(c.SCENARIO).aggregate(num_users=users.count(), num_in_both=users["is_in_both"].sum())


def _fault_counts(faults: ir.Table) -> ir.Table:
    return faults.group_by([c.SCENARIO, "fault"]).aggregate(num_rows=faults.count()).order_by("fault")


def _of_scenario(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row[c.SCENARIO] == name]


def _as_rows(table: ir.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()


def _user_log(days: ir.Table, users: ir.Table, scenario: str, sums: Sums, plan: Plan) -> UserLog | None:
    """Return the users until the last day on which a permutation is due."""
    due = [day for day, counts in enumerate(sums.num_users_AD.T.tolist()) if counts[0] and is_permuted(*counts)]
    if not due:
        return None
    joined = days.inner_join(users.filter(users[c.SCENARIO] == scenario).select(USER, ARM, FIRST), USER)
    table = joined.filter(joined[DAY] <= due[-1]).order_by([USER, DAY]).to_pyarrow()
    user_U, first_U, position_R = np.unique(table[USER].to_numpy(), return_index=True, return_inverse=True)
    total_UDE = np.zeros((len(user_U), due[-1] + 1, len(plan.events)))
    for number in range(len(plan.events)):
        total_UDE[position_R, table[DAY].to_numpy(), number] = table[f"x_{number}"].to_numpy()
    arm_U = (table[ARM].to_numpy(zero_copy_only=False)[first_U] == plan.treatment.name).astype(np.int64)
    return UserLog(arm_U, table[FIRST].to_numpy()[first_U] // MS_PER_DAY, np.cumsum(total_UDE, axis=1))
