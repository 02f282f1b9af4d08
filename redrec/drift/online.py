"""Online: how often a shown list is acted on, per scenario, beside the offline figure of the bundle that made it.

An exposure is a hit if its user has an outcome of the event in the scenario within `HIT_WITHIN`, and before the user's
next exposure there. A user counts once, by the share of exposures that are hits, since one user's resemble each other.

What this cannot say: the shown items are chosen by the policy, the user sees a few of them, and an outcome that is not
of a shown item counts, too, while the offline figure ranks held-out events over the full catalogue. So the two are not
equal when all is well, and `worse` says that the online rate is below what the bundle promised, not why. Compare a
bundle with its own past, and decide between two by an experiment.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

import ibis
import ibis.expr.types as ir
import numpy as np

from redrec.config import InputError, Record
from redrec.data import columns as c
from redrec.data.tables import connect, read
from redrec.data.times import time_format, utc_times
from redrec.intervals import Estimate, bootstrap_means

HIT_WITHIN = timedelta(hours=1)
MODEL, METRIC = "redrec", "hit_rate@10"  # of metrics.json
EXPOSURE_ID, EVENT = "exposure_id", "event"  # as the server and `redrec gate` name them
EXPOSED, HAPPENED = (EXPOSURE_ID, c.USER_ID, c.SCENARIO, c.TIMESTAMP), (c.USER_ID, c.SCENARIO, EVENT, c.TIMESTAMP)

OnlineVerdict = Literal["as_offline", "worse", "better", "insufficient"]


class OnlineQuality(Record):
    """Both figures are means over users with their intervals; `reason` is in words."""

    verdict: OnlineVerdict
    reason: str
    online: Estimate
    offline: Estimate
    exposures: int


def online_quality(
    exposures: Path, outcomes: Path, event: str, metrics: Mapping[str, object], min_users: int, seed: int = 0
) -> dict[str, OnlineQuality]:
    """Return the online hit rate by scenario of the offline metrics.

    Args:
        exposures: Parquet, CSV or JSON lines file, or folder of such files, with the columns EXPOSED.
        outcomes: Likewise with the columns HAPPENED.
        event: The outcome that makes a hit.
        metrics: Content of metrics.json of the bundle that served, as `redrec.evaluation.evaluate` writes it.
        min_users: Fewer exposed users are insufficient.
        seed: Of the bootstrap.

    Raises:
        InputError: A table is absent, cannot be read, or lacks a column, or `metrics` are none.
    """
    offline = _offline(metrics)
    connection = connect()
    exposed = _table(read(connection, exposures, "exposures"), EXPOSED, "exposures").distinct(on=EXPOSURE_ID)
    happened = _table(read(connection, outcomes, "outcomes"), HAPPENED, "outcomes")
    users = _users(exposed, happened.filter(happened[EVENT] == event)).to_pandas()
    connection.disconnect()
    qualities = {}
    for name, figure in offline.items():
        own = users[users[c.SCENARIO] == name].sort_values(c.USER_ID)
        shares_U1 = own["share"].to_numpy(dtype=float)[:, np.newaxis]
        (online,) = bootstrap_means(shares_U1, seed)
        qualities[name] = _quality(online, figure, int(own["exposures"].sum()), min_users)
    return qualities


def _offline(metrics: Mapping[str, object]) -> dict[str, Estimate]:
    scenarios = metrics.get("scenarios")
    if not isinstance(scenarios, dict):
        raise InputError("The metrics name no scenarios. Give metrics.json of the run whose bundle serves.")
    return {name: Estimate.model_validate(models[MODEL][METRIC]) for name, models in scenarios.items()}


def _table(table: ir.Table, columns: tuple[str, ...], name: str) -> ir.Table:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{name} has no column {', '.join(missing)}. It has {', '.join(table.columns)}.")
    unit = time_format(table, name).unit
    return table.select(*columns).mutate(timestamp=utc_times(table[c.TIMESTAMP], unit))


def _users(exposed: ir.Table, happened: ir.Table) -> ir.Table:
    """Return the number of exposures and the share of hits among them, by user and scenario."""
    own = ibis.window(group_by=[c.USER_ID, c.SCENARIO], order_by=[c.TIMESTAMP, EXPOSURE_ID])
    limit = exposed[c.TIMESTAMP] + ibis.interval(seconds=round(HIT_WITHIN.total_seconds()))
    shown = exposed.mutate(end=ibis.least(exposed[c.TIMESTAMP].lead().over(own).fill_null(limit), limit))
    acted = happened.select(c.USER_ID, c.SCENARIO, at=happened[c.TIMESTAMP])
    same = [shown[c.USER_ID] == acted[c.USER_ID], shown[c.SCENARIO] == acted[c.SCENARIO]]
    hits = shown.semi_join(acted, [*same, acted["at"] >= shown[c.TIMESTAMP], acted["at"] < shown["end"]])
    marked = shown.mutate(is_hit=shown[EXPOSURE_ID].isin(hits[EXPOSURE_ID]))
    by_user = marked.group_by([c.SCENARIO, c.USER_ID])
    return by_user.aggregate(exposures=marked.count(), share=marked["is_hit"].cast("float64").mean())


def _quality(online: Estimate, offline: Estimate, exposures: int, min_users: int) -> OnlineQuality:
    verdict, reason = _verdict(online, offline, min_users)
    return OnlineQuality(verdict=verdict, reason=reason, online=online, offline=offline, exposures=exposures)


def _verdict(online: Estimate, offline: Estimate, min_users: int) -> tuple[OnlineVerdict, str]:
    if online.users < min_users:
        return "insufficient", f"{online.users:,} exposed users, fewer than {min_users:,}"
    if offline.low is None or offline.high is None or online.low is None or online.high is None:
        return "insufficient", f"{min(online.users, offline.users):,} users are too few for an interval"
    figures = f"{online.value:.3f} [{online.low:.3f}, {online.high:.3f}] online"
    promised = f"{offline.value:.3f} [{offline.low:.3f}, {offline.high:.3f}] offline"
    if online.high < offline.low:
        return "worse", f"{figures} is below {promised}"
    if online.low > offline.high:
        return "better", f"{figures} is above {promised}"
    return "as_offline", f"{figures} and {promised} overlap"
