"""Ties: events of a user on one day, in random order, and the cases that do not depend on such an order."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from redrec.data.histories import Histories
from redrec.evaluation.cases import Case
from redrec.history import MS_PER_DAY


def in_random_days(events: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the events with new milliseconds: a random order of the user's events of each day, in all scenarios."""
    day = events["timestamp"] // MS_PER_DAY
    random = pd.Series(np.random.default_rng(seed).random(len(events)), events.index)
    order = random.groupby([events["user_id"], day]).rank(method="first")
    return events.assign(timestamp=day * MS_PER_DAY + order.astype("int64"))


def without_ties(cases: Sequence[Case], histories: Histories, scenarios: Sequence[int]) -> list[Case]:
    """Return the cases whose target is on a later day than the user's event before it in these scenarios."""
    untied = []
    for case in cases:
        known = case.known(histories)
        before_ms_L = known.timestamp_ms_L[np.isin(known.scenario_L, scenarios)]
        if before_ms_L.max(initial=0) // MS_PER_DAY < case.moment_ms // MS_PER_DAY:
            untied.append(case)
    return untied
