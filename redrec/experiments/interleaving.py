"""Interleaving: which of two rankers users prefer, from clicks on lists that hold the items of both.

It is a test before an experiment. A user sees both rankers side by side, so what differs between users does not blur
the comparison, and a fraction of the users is enough. But it only says whose items are clicked more often: no
guardrail, no volume, no lasting effect. So it has verdicts of its own, and promotes nothing.

A user's preference is the treatment's share of the user's credited clicks less the control's, from -1 to 1. Users are
the units: their mean is tested against 0 by Student's t. Users without a credited click are no evidence. The test is
for one reading, after the number of users that was planned.

Shapes: U users with a credited click.
"""

from math import sqrt
from pathlib import Path
from typing import Any, Literal, NamedTuple

import ibis.expr.types as ir
import numpy as np
from ibis.backends.sql import SQLBackend
from numpy.typing import NDArray
from pydantic import Field

from redrec.config import InputError, Record
from redrec.data import columns as c
from redrec.data.tables import read
from redrec.experiments.team_draft import CONTROL, TREATMENT

REQUEST_ID, EXPERIMENT, TEAM = "request_id", "experiment", "team"
SHOWN_COLUMNS = (REQUEST_ID, EXPERIMENT, c.USER_ID, c.SCENARIO, c.ITEM_ID, TEAM)
CLICK_COLUMNS = (REQUEST_ID, c.ITEM_ID)
SCHEMA = "redrec/interleaving/1"
ALPHA = 0.05  # two-sided, of any preference in some scenario where there is none
MIN_USERS = 100  # with a credited click; below it the approximation is not trusted

PreferenceVerdict = Literal["treatment preferred", "control preferred", "undecided"]


class Credits(NamedTuple):
    """Clicks on items of either team, of each user with one; and the requests that do not count."""

    control_U: NDArray[np.float64]
    treatment_U: NDArray[np.float64]
    num_users: int  # that were shown a list
    num_invalid_requests: int = 0


class Preference(Record):
    """Of one scenario; the preference is from -1, all for the control, to 1."""

    verdict: PreferenceVerdict
    reason: str
    users: int  # that were shown a list
    users_with_credit: int
    control_clicks: int
    treatment_clicks: int
    invalid_requests: int  # an id that two users or two different lists have; they do not count
    preference: float | None = None
    low: float | None = None  # of the interval at the level of the verdict
    high: float | None = None
    pvalue: float | None = None


class Preferences(Record):
    schema_name: str = Field(default=SCHEMA, alias="schema")
    experiment: str
    scenarios: dict[str, Preference]


def prefer(connection: SQLBackend, shown: Path, clicks: Path, experiment: str | None = None) -> Preferences:
    """Return the preference in each scenario of the experiment's lists; without a name, of the only experiment.

    Raises:
        InputError: A table is absent, cannot be read, lacks a column or names another team, or it is not clear which
            experiment is meant.
    """
    lists = _columns(read(connection, shown, "shown lists"), SHOWN_COLUMNS, "shown lists")
    clicked = _columns(read(connection, clicks, "clicks"), CLICK_COLUMNS, "clicks").distinct()
    name = _experiment(lists, experiment)
    of_scenarios = _credits(lists.filter(lists[EXPERIMENT] == name), clicked)
    level = ALPHA / len(of_scenarios)
    return Preferences(
        experiment=name, scenarios={scenario: preference(own, level) for scenario, own in of_scenarios.items()}
    )


def preference(clicks: Credits, level: float = ALPHA) -> Preference:
    """Return the verdict at a two-sided level."""
    difference_U = clicks.treatment_U - clicks.control_U
    value_U = difference_U / (clicks.treatment_U + clicks.control_U)
    numbers: dict[str, Any] = {
        "users": clicks.num_users,
        "users_with_credit": len(value_U),
        "control_clicks": int(clicks.control_U.sum()),
        "treatment_clicks": int(clicks.treatment_U.sum()),
        "invalid_requests": clicks.num_invalid_requests,
    }
    if len(value_U) < MIN_USERS:
        reason = f"{len(value_U)} users with a credited click; it takes {MIN_USERS}"
        return Preference(verdict="undecided", reason=reason, **numbers)
    mean, low, high, pvalue = _mean_test(value_U, level)
    verdict, words = _verdict(low, high)
    interval = f"{mean:+.3f} ({low:+.3f} to {high:+.3f}) of {len(value_U):,} users with a credited click"
    numbers |= {"preference": mean, "low": low, "high": high, "pvalue": pvalue}
    return Preference(verdict=verdict, reason=f"{words}: {interval}", **numbers)


def _verdict(low: float, high: float) -> tuple[PreferenceVerdict, str]:
    if low > 0:
        return "treatment preferred", "the treatment's items are clicked more often"
    if high < 0:
        return "control preferred", "the control's items are clicked more often"
    return "undecided", "neither ranker's items are shown to be clicked more often"


def _mean_test(value_U: NDArray[np.float64], level: float) -> tuple[float, float, float, float]:
    """Return the mean, its interval, and the p-value of a mean of 0."""
    from scipy.stats import t

    mean, degrees = float(value_U.mean()), len(value_U) - 1
    error = float(value_U.std(ddof=1)) / sqrt(len(value_U))
    if error == 0:  # all users agree
        return mean, mean, mean, float(mean == 0)
    half = float(t.isf(level / 2, degrees)) * error
    return mean, mean - half, mean + half, float(2 * t.sf(abs(mean) / error, degrees))


def _columns(table: ir.Table, names: tuple[str, ...], name: str) -> ir.Table:
    if absent := [column for column in names if column not in table.columns]:
        raise InputError(
            f"The {name} have no column {', '.join(absent)}; they have {', '.join(table.columns)}. "
            f"Give a table with {', '.join(names)}."
        )
    return table.select(**{column: table[column].cast("string") for column in names})


def _experiment(lists: ir.Table, name: str | None) -> str:
    known = sorted(
        lists.filter(lists[EXPERIMENT].notnull()).select(EXPERIMENT).distinct().to_pyarrow()[EXPERIMENT].to_pylist()
    )
    if name is None and len(known) == 1:
        return str(known[0])
    if name in known:
        return str(name)
    given = "none is named" if name is None else f"{name} is named"
    raise InputError(
        f"The shown lists are of {', '.join(known) or 'no experiment'}; {given}. Give one of them: --experiment NAME."
    )


def _credits(lists: ir.Table, clicked: ir.Table) -> dict[str, Credits]:
    """Return the credits of every scenario."""
    items = lists.mutate(team=lists[TEAM].fill_null("")).distinct()
    _check_teams(items)
    valid = _valid_requests(items)
    counted = items.semi_join(valid, REQUEST_ID)
    num_users = _counts(counted, c.USER_ID)
    num_invalid = _counts(items.anti_join(valid, REQUEST_ID), REQUEST_ID)
    table = _clicks_by_team(counted, clicked).to_pyarrow()
    scenario_U = np.array(table[c.SCENARIO].to_pylist(), dtype=object)
    control_U, treatment_U = (table[team].to_numpy().astype(float) for team in (CONTROL, TREATMENT))
    of_scenarios = {}
    for name in sorted({*num_users, *num_invalid}):
        is_own_U = scenario_U == name
        numbers = num_users.get(name, 0), num_invalid.get(name, 0)
        of_scenarios[name] = Credits(control_U[is_own_U], treatment_U[is_own_U], *numbers)
    return of_scenarios


def _check_teams(items: ir.Table) -> None:
    unknown = items.filter(~items[TEAM].isin([CONTROL, TREATMENT, ""])).select(TEAM).distinct().limit(3).to_pyarrow()
    if names := unknown[TEAM].to_pylist():
        raise InputError(
            f"The shown lists have items of team {', '.join(map(repr, names))}; allowed are {CONTROL}, {TREATMENT}, "
            "and nothing for an item of no team. Correct the column."
        )


def _valid_requests(items: ir.Table) -> ir.Table:
    """Return the ids that one user has in one scenario, each item with one team."""
    requests = items.group_by(REQUEST_ID).aggregate(
        num_rows=items.count(),
        num_items=items[c.ITEM_ID].nunique(),
        num_users=items[c.USER_ID].nunique(),
        num_scenarios=items[c.SCENARIO].nunique(),
    )
    is_one_list = (requests["num_rows"] == requests["num_items"]) & (requests["num_scenarios"] == 1)
    return requests.filter(is_one_list & (requests["num_users"] == 1)).select(REQUEST_ID)


def _counts(items: ir.Table, column: str) -> dict[str, int]:
    """Return the number of values of a column by scenario."""
    counts = items.group_by(c.SCENARIO).aggregate(number=items[column].nunique())
    return {row[c.SCENARIO]: row["number"] for row in counts.to_pyarrow().to_pylist()}


def _clicks_by_team(items: ir.Table, clicked: ir.Table) -> ir.Table:
    """Return each user's clicks on items of either team, by scenario; several on one item of a list are one."""
    credited = items.filter(items[TEAM] != "").semi_join(clicked, [REQUEST_ID, c.ITEM_ID])
    is_control = credited[TEAM] == CONTROL
    by_user = credited.group_by([c.SCENARIO, c.USER_ID])
    return by_user.aggregate(control=is_control.sum(), treatment=(~is_control).sum())
