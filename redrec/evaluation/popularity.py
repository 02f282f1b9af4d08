"""Popularity at a moment: how often each item was used in each scenario just before, for boosts and baselines.

Only events before the moment count, whatever their split: what others do before a user's target is known when the user
is queried. A global split has one moment; leave one out has one per user, rounded down to the hour.

Shapes: S scenarios, N items, W windows.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from redrec.data import columns as c
from redrec.data.histories import Histories
from redrec.history import MS_PER_DAY, MS_PER_HOUR, Ints
from redrec.index.popularity_boost import daily_rates, popularity_lifts

MAX_MOMENTS_KEPT = 8


def last_hour(moment_ms: int) -> int:
    """Return the last full hour before a moment: moments of one hour share their popularity."""
    return moment_ms // MS_PER_HOUR * MS_PER_HOUR


class Popularity:
    """The popularity of a data folder's items at any moment; `allowed_SN` is whether an item may be shown."""

    def __init__(self, histories: Histories, allowed_SN: NDArray[np.bool_]) -> None:
        self.histories, self.allowed_SN = histories, allowed_SN
        self._rates = lru_cache(MAX_MOMENTS_KEPT)(self._counted)
        self._lifts = lru_cache(MAX_MOMENTS_KEPT)(self._lifted)

    def rates(self, moment_ms: int) -> NDArray[np.float64]:
        """Return each item's events per day before the moment, the mean over the windows, `rate_SN`."""
        return self._rates(last_hour(moment_ms))

    def lifts(self, moment_ms: int, scenario: int) -> NDArray[np.float32]:
        """Return what a popularity boost of weight 1 adds to each item's logit at the moment, `lift_N`."""
        return self._lifts(last_hour(moment_ms), scenario)

    def _counted(self, hour_ms: int) -> NDArray[np.float64]:
        return daily_rates(counts_before(self.histories, hour_ms, self.allowed_SN.shape))

    def _lifted(self, hour_ms: int, scenario: int) -> NDArray[np.float32]:
        return popularity_lifts(self._rates(hour_ms)[scenario], self.allowed_SN[scenario])


def counts_before(histories: Histories, moment_ms: int, shape: tuple[int, int]) -> Ints:
    """Return the events of each item in each scenario in the windows that end before a moment, `counts_WSN`."""
    counts_WSN = np.zeros((len(c.WINDOWS_DAYS), *shape), dtype=np.int64)
    longest_ms = max(c.WINDOWS_DAYS) * MS_PER_DAY
    for block in histories.blocks():
        age_ms_B = moment_ms - histories.timestamp_ms_N[block]
        is_recent_B = (age_ms_B > 0) & (age_ms_B <= longest_ms)
        pair_X = np.ravel_multi_index(
            (histories.scenario_N[block][is_recent_B], histories.item_N[block][is_recent_B]), shape
        )
        for counts_SN, days in zip(counts_WSN, c.WINDOWS_DAYS, strict=True):
            is_in_X = age_ms_B[is_recent_B] <= days * MS_PER_DAY
            counts_SN += np.bincount(pair_X[is_in_X], minlength=counts_SN.size).reshape(shape)
    return counts_WSN
