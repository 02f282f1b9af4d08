"""Findings: what a clean pair of tables still makes doubtful, each with how much of it there is and what to do.

Nothing is left out for a finding and no run stops for one; `LimitsConfig` says from which share on it is reported.
"""

from datetime import UTC, datetime

from pydantic import Field

from redrec.config import Config
from redrec.data.arrays import Tally

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


def findings_of(
    tally: Tally, events_of_scenario: dict[str, int], num_items: int, num_untitled: int, limits: LimitsConfig
) -> tuple[Finding, ...]:
    """Return the findings beyond their limits, the largest share first."""
    t, num_events = tally, int(tally.events_S.sum())
    num_idle = num_items - t.items_with_events
    num_too_old = num_events * (datetime.fromtimestamp(t.newest_ms / 1000, UTC).year < OLDEST_YEAR)
    found = [
        *_above(limits.max_midnight_share, t.midnight_events, num_events, "events are at midnight UTC", MIDNIGHT),
        *_above(
            limits.max_one_scenario_share, t.one_scenario_users, t.users, "users act in one scenario", ONE_SCENARIO
        ),
        *_above(limits.max_one_event_share, t.one_event_users, t.users, "users have one event", ONE_EVENT),
        *_above(limits.max_orphan_share, num_idle, num_items, "items have no event", ORPHAN),
        *_above(limits.max_untitled_share, num_untitled, num_items, "items have no title", UNTITLED),
        *_above(0, num_too_old, num_events, f"events are before {OLDEST_YEAR}", TOO_OLD),
    ]
    for name, count in events_of_scenario.items():
        if count < limits.min_scenario_share * num_events:
            found.append(Finding(what=f"events are of scenario {name}", count=count, of=num_events, advice=SPARSE))
    return tuple(sorted(found, key=lambda finding: -finding.count / finding.of))


def _above(limit: float, count: int, of: int, what: str, advice: str) -> list[Finding]:
    return [Finding(what=what, count=count, of=of, advice=advice)] if count > limit * of else []
