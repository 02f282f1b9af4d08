"""Users: who was first exposed to which arm and when, and what their days added to each event's total.

A user's arm and first exposure are those of their exposures in the scenario. Of a user with two arms nothing counts. An
outcome counts from the user's first exposure in the scenario on, and at most `attribution_hours` long.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import ibis
import ibis.expr.types as ir

from redrec.data import columns as c
from redrec.experiments.plan import Plan
from redrec.experiments.rows import ARM, DAY, EVENT, MS, VALUE, day_of
from redrec.experiments.sums import ALL_SCENARIOS, MS_PER_HOUR

USER = "user"  # number of a user in a scenario
FIRST = "first"  # exposure of a user, as MS
FIRSTS = ("first_0", "first_1")  # exposure to each arm; null where there is none
KEYS = (c.SCENARIO, c.USER_ID)
EXACT = "decimal(38, 0)"  # products of totals


def first_exposures(exposed: ir.Table, plan: Plan) -> ir.Table:
    """Return KEYS, a number of their own, and FIRSTS of the users; with a shared plan those of all scenarios, too."""
    exposed = _with_all(exposed, plan)
    is_treated = exposed[ARM] == plan.treatment.name
    firsts = {"first_0": exposed[MS].min(where=~is_treated), "first_1": exposed[MS].min(where=is_treated)}
    return exposed.group_by(KEYS).aggregate(**firsts).mutate(user=ibis.row_number())


def merged(earlier: ir.Table, newer: ir.Table) -> ir.Table:
    """Return the first exposures of both; users of the earlier ones keep their number."""
    num_earlier = earlier.aggregate(last=earlier[USER].max()).to_pyarrow()["last"][0].as_py() or 0
    both = ibis.union(earlier, newer.mutate(user=newer[USER] + num_earlier + 1))
    return both.group_by(KEYS).aggregate(**{name: both[name].min() for name in (*FIRSTS, USER)})


def before(users: ir.Table, end_ms: int) -> ir.Table:
    """Return the first exposures before a time."""
    firsts = {name: (users[name] < end_ms).ifelse(users[name], ibis.null("int64")) for name in FIRSTS}
    users = users.mutate(**firsts)
    return users.filter(users["first_0"].notnull() | users["first_1"].notnull())


def _with_all(table: ir.Table, plan: Plan) -> ir.Table:
    if plan.applies == "per_scenario":
        return table
    return ibis.union(table, table.mutate(scenario=ibis.literal(ALL_SCENARIOS)))


def with_arms(users: ir.Table, plan: Plan) -> ir.Table:
    """Return KEYS, USER, ARM as 0 or 1, FIRST, and whether a user was in both arms (shared: in any scenario)."""
    is_in_both = users["first_0"].notnull() & users["first_1"].notnull()
    one = users.mutate(
        arm=users["first_0"].isnull().cast("int8"),
        first=ibis.coalesce(users["first_0"], users["first_1"]),
        is_in_both=is_in_both,
    ).drop(*FIRSTS)
    if plan.applies == "per_scenario":
        return one
    of_all = one.filter(one[c.SCENARIO] == ALL_SCENARIOS).select(c.USER_ID, "is_in_both")
    return one.drop("is_in_both").inner_join(of_all, c.USER_ID)


def counted(users: ir.Table) -> ir.Table:
    """Return the users of one arm."""
    return users.filter(~users["is_in_both"])


def user_days(happened: ir.Table, users: ir.Table, plan: Plan, bits_E: Sequence[int]) -> ir.Table:
    """Return, per user and day, what the day added: `x_E` to the totals of the events, `rows_E` to their rows.

    Totals are whole numbers of `2**-bits_E`, so that sums do not depend on the order of the rows.
    """
    users = counted(users).select(*KEYS, USER, FIRST)
    rows = _with_all(happened.filter(happened[MS] >= 0), plan).inner_join(users, KEYS)
    counts = rows[MS] >= rows[FIRST]
    if plan.attribution_hours is not None:
        counts &= rows[MS] < rows[FIRST] + round(plan.attribution_hours * MS_PER_HOUR)
    rows = rows.filter(counts).select(USER, EVENT, VALUE, day=day_of(rows[MS]))
    added = {}
    for number, event in enumerate(plan.events):
        is_it = rows[EVENT] == event
        added[f"x_{number}"] = _steps(rows, is_it, bits_E[number])
        added[f"rows_{number}"] = is_it.sum()
    return rows.group_by([USER, DAY]).aggregate(**added)


def _steps(rows: ir.Table, where: ir.BooleanValue, bits: int) -> ir.IntegerScalar:
    return (rows[VALUE] * 2.0**bits).try_cast("int64").sum(where=where).fill_null(0).cast("int64")


def sums_before(happened: ir.Table, plan: Plan, bits_E: Sequence[int]) -> ir.Table:
    """Return KEYS and, of the users seen before the start, what they did then: `x_E` of the covariates."""
    rows = _with_all(happened.filter(happened[MS] < 0), plan)
    added = {"num_rows": rows.count()}
    for number, event in enumerate(plan.covariate_events, start=len(plan.events)):
        added[f"x_{number}"] = _steps(rows, rows[EVENT] == event, bits_E[number])
    return rows.group_by(KEYS).aggregate(**added)


def with_covariates(days: ir.Table, users: ir.Table, before_start: ir.Table, plan: Plan) -> ir.Table:
    """Return the days with the covariates, as if a user had added them on the day of their first exposure."""
    if not plan.covariates:
        return days
    names = [f"x_{len(plan.events) + number}" for number in range(len(plan.covariates))]
    firsts = counted(users).inner_join(before_start, KEYS)
    firsts = firsts.select(USER, *names, day=day_of(firsts[FIRST]))
    nothing = {name: ibis.literal(0, "int64") for name in days.columns if name not in (USER, DAY)}
    added = firsts.mutate(**nothing)
    days = days.mutate(**{name: ibis.literal(0, "int64") for name in names})
    return ibis.union(days, added.select(*days.columns))


def new_users(users: ir.Table) -> ir.Table:
    """Return, per scenario, arm and day, how many users that count were first exposed."""
    users = counted(users)
    users = users.mutate(day=day_of(users[FIRST]))
    return users.group_by([c.SCENARIO, ARM, DAY]).aggregate(num_users=users.count())


def daily_sums(days: ir.Table, users: ir.Table, plan: Plan) -> ir.Table:
    """Return, per scenario, arm and day, what the day added to every sum.

    A day that adds `x` to a total `c` adds `2cx + x^2` to its square, and so with products.
    """
    numbers = range(len(plan.columns))
    before = ibis.window(group_by=USER, order_by=DAY, rows=(None, -1))
    totals = {f"c_{number}": days[f"x_{number}"].sum().over(before).fill_null(0) for number in numbers}
    grown = days.mutate(**totals).inner_join(counted(users).select(USER, c.SCENARIO, ARM), USER)
    sums: dict[str, Any] = {name: grown[name].sum() for name in days.columns if name not in (USER, DAY)}
    for first, second in combinations_with_replacement(numbers, 2):
        x, y = grown[f"x_{first}"].cast(EXACT), grown[f"x_{second}"].cast(EXACT)
        x_total, y_total = grown[f"c_{first}"].cast(EXACT), grown[f"c_{second}"].cast(EXACT)
        product = x_total * y + y_total * x + x * y
        sums[f"xx_{first}_{second}"] = product.sum()
    return grown.group_by([c.SCENARIO, ARM, DAY]).aggregate(**sums)


def user_counts(users: ir.Table) -> ir.Table:
    counts = {"num_users": users.count(), "num_in_both": users["is_in_both"].sum()}
    return users.group_by(c.SCENARIO).aggregate(**counts)
