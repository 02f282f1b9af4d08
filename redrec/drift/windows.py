"""Windows: the data folder in; per scenario two tables of users, before and since the test period began, out.

One row per user, because a user's events resemble each other: a test over events reports drift when there is none.

The newest window is everything from `test_start_ms` on. The reference has the same length and is whole weeks
earlier, inside the training window, so that counts per user are comparable and both have the same weekdays. If the
log does not reach back so far, the reference ends when the newest window begins.
"""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ibis
import ibis.expr.types as ir

from redrec.data import columns as c
from redrec.data.split import read_split
from redrec.data.tables import connect, read
from redrec.folders import DataFolder

if TYPE_CHECKING:
    import pandas as pd  # half a second of imports, for the readers of a recipe too

WEEK = timedelta(days=7)
NUMERIC = ("num_events", "num_items", "main_action_share", "mean_hour", "recency_hours")
CATEGORICAL = ("top_category",)
MAX_CATEGORIES = 8  # the score of two equal windows grows with the number of levels; the others are one level
OTHERS, NO_CATEGORY = "(rest)", "(none)"


class Window(NamedTuple):
    """Times from `start` to just before `end`, UTC."""

    start: datetime
    end: datetime

    def of(self, events: ir.Table) -> ir.Table:
        return events.filter(events[c.TIMESTAMP] >= self.start, events[c.TIMESTAMP] < self.end)


class ScenarioWindows(NamedTuple):
    """Users in rows; columns are NUMERIC and CATEGORICAL, without the category if no item has one."""

    reference: "pd.DataFrame"
    current: "pd.DataFrame"


class Windows(NamedTuple):
    reference: Window
    current: Window
    is_reference_whole: bool  # False: the log begins after the reference does
    scenarios: dict[str, ScenarioWindows]


def load_windows(data: Path) -> Windows:
    """Read the events of `data` and split them by scenario and window."""
    split = read_split(data)
    connection = connect()
    folder = DataFolder(data)
    events = _with_category(read(connection, folder.events, "events"), read(connection, folder.items, "items"))
    times = events[c.TIMESTAMP]
    oldest, newest = (_as_utc(times.min().execute()), _as_utc(times.max().execute()))
    test_start = datetime.fromtimestamp(split.test_start_ms / 1000, UTC)
    reference, current = _windows(oldest, newest, test_start)
    scenarios = {
        scenario: _scenario_windows(events.filter(events[c.SCENARIO] == scenario), reference, current)
        for scenario in split.scenarios
    }
    connection.disconnect()
    return Windows(reference, current, oldest <= reference.start, scenarios)


def _windows(oldest: datetime, newest: datetime, test_start: datetime) -> tuple[Window, Window]:
    end = newest + timedelta(milliseconds=1)
    length = end - test_start
    shift = math.ceil(length / WEEK) * WEEK
    if oldest > test_start - shift:
        shift = length
    return Window(test_start - shift, end - shift), Window(test_start, end)


def _with_category(events: ir.Table, items: ir.Table) -> ir.Table:
    category = items[c.CATEGORY].cast("string") if c.CATEGORY in items.columns else ibis.null("string")
    return events.left_join(items.select(c.ITEM_ID, category=category), c.ITEM_ID).drop(f"{c.ITEM_ID}_right")


def _scenario_windows(events: ir.Table, reference: Window, current: Window) -> ScenarioWindows:
    before, since = reference.of(events), current.of(events)
    main_action = _most_frequent(before, c.ACTION, 1)
    categories = _most_frequent(before, "category", MAX_CATEGORIES)
    frames = (_users(before, reference, main_action, categories), _users(since, current, main_action, categories))
    if all((frame["top_category"] == NO_CATEGORY).all() for frame in frames):
        frames = (frames[0].drop(columns="top_category"), frames[1].drop(columns="top_category"))
    return ScenarioWindows(*frames)


def _most_frequent(events: ir.Table, column: str, num: int) -> list[str]:
    known = events.filter(events[column].notnull())
    counts = known.group_by(column).aggregate(num=known.count())
    return counts.order_by(ibis.desc("num"), column).limit(num)[column].to_pyarrow().to_pylist()


def _users(events: ir.Table, window: Window, main_action: list[str], categories: list[str]) -> "pd.DataFrame":
    hour = (events[c.TIMESTAMP].epoch_seconds() % 86_400) / 3_600  # of UTC, independent of the session's time zone
    users = events.group_by(c.USER_ID).aggregate(
        num_events=events.count(),
        num_items=events[c.ITEM_ID].nunique(),
        main_action_share=events[c.ACTION].isin(main_action).cast("float64").mean(),
        mean_hour=hour.mean(),
        newest=events[c.TIMESTAMP].max(),
    )
    joined = users.left_join(_top_category(events, categories), c.USER_ID)
    frame = joined.order_by(users[c.USER_ID]).to_pandas()
    frame["recency_hours"] = (window.end - frame["newest"]).dt.total_seconds() / 3_600
    return frame[[*NUMERIC, *CATEGORICAL]]


def _top_category(events: ir.Table, categories: list[str]) -> ir.Table:
    """Return each user's most frequent category; among equally frequent ones the first by name."""
    name = events.category.fill_null(NO_CATEGORY)
    level = ibis.ifelse(name.isin([*categories, NO_CATEGORY]), name, OTHERS)
    named = events.select(c.USER_ID, top_category=level)
    counts = named.group_by([c.USER_ID, "top_category"]).aggregate(num=named.count())
    order = ibis.window(group_by=c.USER_ID, order_by=[ibis.desc(counts.num), counts.top_category])
    ranked = counts.mutate(rank=ibis.row_number().over(order))
    return ranked.filter(ranked["rank"] == 0).select(c.USER_ID, "top_category")


def _as_utc(time: "pd.Timestamp") -> datetime:
    return time.to_pydatetime().astimezone(UTC)
