"""Statistics: recent events and users of each item in a scenario, over windows that end with the newest event."""

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from redrec.data import columns as c


def item_statistics(events: ir.Table, scenario: str, newest: datetime) -> ir.Table:
    """One row per item with events in the scenario; a window without events counts 0.

    Columns: item_id, event_timestamp (`newest`, the time of the newest event of all), then for each window of n days
    that ends then, end included, events_nd and users_nd (users with at least one event).
    """
    of_scenario = events.filter(events[c.SCENARIO] == scenario)
    counts = {}
    for days in c.WINDOWS_DAYS:
        is_in = of_scenario[c.TIMESTAMP] > ibis.literal(newest - timedelta(days=days), "timestamp('UTC', 6)")
        counts[c.events_in(days)] = is_in.sum().cast("int64")
        counts[c.users_in(days)] = of_scenario[c.USER_ID].nunique(where=is_in).cast("int64")
    items = of_scenario.group_by(c.ITEM_ID).aggregate(**counts)
    return items.select(c.ITEM_ID, *counts, event_timestamp=ibis.literal(newest, "timestamp('UTC', 6)"))
