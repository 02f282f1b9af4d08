"""Findings: what a clean pair of tables still makes doubtful, each with how much of it there is and what to do.

Nothing is left out for a finding and no run stops for one; `LimitsConfig` says from which share on it is reported.
"""

from typing import NamedTuple

import ibis.expr.types as ir
from pydantic import Field

from redrec.config import Config
from redrec.data import columns as c
from redrec.data.tables import epoch_ms

MS_PER_DAY = 86_400_000
OLDEST_YEAR = 1990  # a log that ends before it is in seconds taken for milliseconds

MIDNIGHT = "A day is no time: the order inside it is lost. Bring finer times, or the order as milliseconds."
ONE_SCENARIO = "Little can pass between scenarios. Check that a person has the same user_id in all of them."
ONE_EVENT = "They are served and evaluated, but give no training target. A longer log holds more of each."
ORPHAN = "They are known by their text alone. Check that both tables mean the same by item_id."
UNTITLED = "The default encoder tells items apart by their text. Bring titles, or choose vectors or ids (item_tower)."
TOO_OLD = "They look like seconds: an integer timestamp is taken as epoch milliseconds."
SPARSE = "Its figures will be wide. Bring more of its events, or leave it out of data.scenarios."


class LimitsConfig(Config):
    min_scenario_share: float = Field(default=0.01, ge=0, le=1)  # of the events
    max_midnight_share: float = Field(default=0.5, ge=0, le=1)  # of the events, at 00:00:00 UTC to the second
    max_one_scenario_share: float = Field(default=0.9, ge=0, le=1)  # of the users, with events in one scenario alone
    max_one_event_share: float = Field(default=0.2, ge=0, le=1)  # of the users
    max_orphan_share: float = Field(default=0.5, ge=0, le=1)  # of the items, without an event
    max_untitled_share: float = Field(default=0.2, ge=0, le=1)  # of the items


class Finding(Config):
    what: str
    count: int
    of: int
    advice: str


class Figures(NamedTuple):
    """Counts over both clean tables."""

    events: int
    midnight_events: int
    newest_year: int
    items_with_events: int
    users: int
    one_event_users: int
    one_scenario_users: int
    items: int
    untitled_items: int


def figures_of(events: ir.Table, items: ir.Table) -> Figures:
    time = events[c.TIMESTAMP]
    is_midnight = epoch_ms(time) % MS_PER_DAY < 1000  # engines differ on whether a second has a fraction
    of_events = events.aggregate(
        events=events.count(),
        midnight_events=is_midnight.sum(),
        newest_year=time.max().year(),
        items_with_events=events[c.ITEM_ID].nunique(),
    )
    by_user = events.group_by(c.USER_ID).aggregate(num=events.count(), scenarios=events[c.SCENARIO].nunique())
    of_users = by_user.aggregate(
        users=by_user.count(),
        one_event_users=(by_user.num == 1).sum(),
        one_scenario_users=(by_user.scenarios == 1).sum(),
    )
    title = items[c.TITLE]
    of_items = items.aggregate(items=items.count(), untitled_items=(title.isnull() | (title == "")).sum())
    found = {name: value for part in (of_events, of_users, of_items) for name, value in _row(part).items()}
    return Figures(**{name: value or 0 for name, value in found.items()})


def _row(table: ir.Table) -> dict[str, int]:
    row: dict[str, int] = table.to_pyarrow().to_pylist()[0]
    return row


def findings_of(figures: Figures, events_of_scenario: dict[str, int], limits: LimitsConfig) -> tuple[Finding, ...]:
    """Return the findings beyond their limits, the largest share first."""
    f = figures
    found = [
        *_above(limits.max_midnight_share, f.midnight_events, f.events, "events are at midnight UTC", MIDNIGHT),
        *_above(
            limits.max_one_scenario_share, f.one_scenario_users, f.users, "users act in one scenario", ONE_SCENARIO
        ),
        *_above(limits.max_one_event_share, f.one_event_users, f.users, "users have one event", ONE_EVENT),
        *_above(limits.max_orphan_share, f.items - f.items_with_events, f.items, "items have no event", ORPHAN),
        *_above(limits.max_untitled_share, f.untitled_items, f.items, "items have no title", UNTITLED),
        *_above(0, f.events * (f.newest_year < OLDEST_YEAR), f.events, f"events are before {OLDEST_YEAR}", TOO_OLD),
    ]
    for name, count in events_of_scenario.items():
        if count < limits.min_scenario_share * f.events:
            found.append(Finding(what=f"events are of scenario {name}", count=count, of=f.events, advice=SPARSE))
    return tuple(sorted(found, key=lambda finding: -finding.count / finding.of))


def _above(limit: float, count: int, of: int, what: str, advice: str) -> list[Finding]:
    return [Finding(what=what, count=count, of=of, advice=advice)] if count > limit * of else []
