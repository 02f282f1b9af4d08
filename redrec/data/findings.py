"""Findings: doubtful properties of a clean pair of tables, each with its count and what to do.

A finding neither removes rows nor stops a run; `LimitsConfig` says above which share it is reported.
"""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from redrec.config import Config, Record
from redrec.data import columns as c
from redrec.data.arrays import Tally, TieOrder
from redrec.data.items import is_allowed, unknown_scenarios
from redrec.data.times import OLDEST

NUM_EXAMPLES = 3
MIN_TIES = 0.01  # of the events; fewer change no metric
NUM_DEVIATIONS = 4  # by chance, one log in 16,000 is so far from one half

MIDNIGHT = "The order of events inside a day is lost. Give finer times, or the order inside the day as milliseconds."
ONE_SCENARIO = "The model learns little across scenarios. Check that a person has the same user_id in all of them."
ONE_EVENT = "They are served and evaluated, but give no training target. A longer log has more events per user."
ORPHAN = "The model knows only their text. Check that item_id means the same in both tables."
UNTITLED = (
    "The default encoder learns an item without any text by its id alone: it knows nothing of new items and little of "
    "rare ones. Give titles, or vectors (item_tower)."
)
TOO_OLD = (
    "If they are no times, splits, trends and drift are wrong. Numbers of days, or since another year than 1970, must "
    "be changed to times."
)
TIE_ORDER = (
    "Models that know ids can learn this order, so the metrics of the leave_last_out splits are too high. "
    "Measure with the split global_time, or give finer times."
)
NOWHERE = "They are shown nowhere. Use the scenarios of the events, or leave the field empty for all of them."
DECOMPOSED = (
    "They look like ids of other bytes, which are other ids. Write both tables and requests in one form, best NFC "
    "(Python: unicodedata.normalize)."
)
SPARSE = "Its metrics will have wide intervals. Give more of its events, or remove it from data.scenarios."


class LimitsConfig(Config):
    min_scenario_share: float = Field(default=0.01, ge=0, le=1)  # of the events
    max_midnight_share: float = Field(default=0.5, ge=0, le=1)  # of the events, at 00:00:00 UTC to the second
    max_one_scenario_share: float = Field(default=0.9, ge=0, le=1)  # of the users, with events in one scenario alone
    max_one_event_share: float = Field(default=0.2, ge=0, le=1)  # of the users
    max_orphan_share: float = Field(default=0.5, ge=0, le=1)  # of the items, without an event
    max_untitled_share: float = Field(default=0.2, ge=0, le=1)  # of the items
    max_tie_order_share: float = Field(default=0.6, ge=0.5, le=1)  # of the ties, see TieOrder; by chance it is one half


class Finding(Record):
    what: str
    count: int
    of: int
    advice: str


def findings_of(
    tally: Tally,
    tie_order: TieOrder,
    events_of_scenario: dict[str, int],
    num_items: int,
    num_untitled: int,
    limits: LimitsConfig,
) -> tuple[Finding, ...]:
    """Return the findings beyond their limits, the largest share first."""
    t, num_events = tally, int(tally.events_S.sum())
    num_idle = num_items - t.items_with_events
    findings = [
        *_above(limits.max_midnight_share, t.midnight_events, num_events, "events are at midnight UTC", MIDNIGHT),
        *_above(
            limits.max_one_scenario_share, t.one_scenario_users, t.users, "users act in one scenario", ONE_SCENARIO
        ),
        *_above(limits.max_one_event_share, t.one_event_users, t.users, "users have one event", ONE_EVENT),
        *_above(limits.max_orphan_share, num_idle, num_items, "items have no event", ORPHAN),
        *_above(limits.max_untitled_share, num_untitled, num_items, "items have no title", UNTITLED),
        *_above(0, t.old_events, num_events, f"events are before {OLDEST.year}", TOO_OLD),
        *_tie_order(tie_order, num_events, limits.max_tie_order_share),
    ]
    for name, count in events_of_scenario.items():
        if count < limits.min_scenario_share * num_events:
            findings.append(Finding(what=f"events are of scenario {name}", count=count, of=num_events, advice=SPARSE))
    return tuple(sorted(findings, key=lambda finding: -finding.count / finding.of))


def item_findings(items: Path, users: Path, scenarios: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return the findings about the ids and the scenarios of single items and users, in the written tables."""
    num_nowhere = int((~is_allowed(items, scenarios).any(axis=0)).sum())
    names = unknown_scenarios(items, scenarios)[:NUM_EXAMPLES]
    what = f"items name no scenario of the events ({', '.join(names)}; the events have {', '.join(scenarios)})"
    num_items = pq.ParquetFile(items).metadata.num_rows
    findings = _above(0, num_nowhere, num_items, what if names else "items may be shown in no scenario", NOWHERE)
    for file, column in ((items, c.ITEM_ID), (users, c.USER_ID)):
        ids = pq.read_table(file, columns=[column])[column]
        num_decomposed = pc.sum(pc.not_equal(pc.utf8_normalize(ids, "NFC"), ids)).as_py() or 0
        findings += _above(0, num_decomposed, len(ids), f"values of {column} have letters of several signs", DECOMPOSED)
    return tuple(findings)


def _above(limit: float, count: int, of: int, what: str, advice: str) -> list[Finding]:
    return [Finding(what=what, count=count, of=of, advice=advice)] if count > limit * of else []


def _tie_order(order: TieOrder, num_events: int, limit: float) -> list[Finding]:
    """Return a finding if most ties ascend, or descend, beyond the limit and beyond chance."""
    descending = order.ties - order.ascending
    count, direction = max((order.ascending, "ascend"), (descending, "descend"))
    chance = order.ties / 2 + NUM_DEVIATIONS * order.ties**0.5 / 2
    if order.ties < MIN_TIES * num_events or count <= chance:
        return []
    what = f"neighbouring events inside one second {direction} by item_id"
    return _above(limit, count, order.ties, what, TIE_ORDER)
