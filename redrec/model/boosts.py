"""Boosts: what is added to an item's cosine for what the towers do not know: recent popularity and the user's repeats.

Weights are per scenario, in logits, and never negative. Training makes cosine times logit scale the log of an item's
chance to be next, up to a constant, so a weight of one multiplies the chance by the boosted quantity. Weights are
fitted on the validation split (`redrec.evaluation.boost_fit`): where users never come back to an item, or popularity
says nothing, they are zero.

An item that the user had is boosted by the sum over `OWN_COUNTS` of weight times `log(1 + count)`. A count is over the
user's events with the item, in the scenario or in all, each halved with every half-life of its age. The newest
`MAX_COUNTED` events of each scenario count, since a feature store keeps no more.

In a scenario where users rarely come back to an item, their own items are left out (`excludes_seen`), as the training
split (`redrec.data.repeats`) or the validation split says (`redrec.evaluation.seen_items`).

Boosts are never negative and few items have one. So the k best of a boosted search are among the k best by cosine, the
popular items and the user's own: an index needs no boost, and search stays exact.

Shapes: L events, T own items, C items to look at, F own counts, H half-lives.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from redrec.config import Config, Record
from redrec.history import MS_PER_DAY, History, HistoryConfig, Ints, mix

MAX_COUNTED = 256  # events of a user in a scenario
COUNTED = HistoryConfig(policy="quota_2d", max_events_per_scenario=MAX_COUNTED)
HALF_LIVES_DAYS = (7.0, 60.0, np.inf)
PER_HALF_LIFE_H = -1 / np.array(HALF_LIVES_DAYS)  # powers of two per day
OWN_COUNTS = tuple(product((True, False), HALF_LIVES_DAYS))  # whether in the scenario alone, half-life


class BoostConfig(Config):
    """The weights of a run without a validation split; with one they are fitted, in every scenario."""

    is_fitted: bool = True
    popularity: NonNegativeFloat = 0.25
    own: NonNegativeFloat = 0.0  # of the plain count in the scenario


class BoostWeights(Record):
    """The weights of one scenario, in logits, and whether it leaves out the user's own items."""

    popularity: NonNegativeFloat
    own: tuple[NonNegativeFloat, ...]  # in order of `OWN_COUNTS`
    excludes_seen: bool = False

    @property
    def has_own(self) -> bool:
        return any(self.own)


def configured(config: BoostConfig, excludes_seen: bool = False) -> BoostWeights:
    """Return the weights that a recipe gives for a scenario, which leaves out the user's own items or not."""
    own = tuple(config.own * (count == (True, np.inf)) for count in OWN_COUNTS)
    return BoostWeights(popularity=config.popularity, own=own, excludes_seen=excludes_seen)


class Own(NamedTuple):
    """What is added to the cosines of a user's own items."""

    items_T: Ints
    boost_T: NDArray[np.float32]


NOTHING = Own(np.empty(0, np.int64), np.empty(0, np.float32))
LEFT_OUT = np.float32(-1e4)  # below any score; infinity would make the rounding of a score not a number


class OwnItems(NamedTuple):
    """A user's distinct items, sorted, and for each `log(1 + count)` of every own count."""

    items_T: Ints
    log_counts_TF: NDArray[np.float32]

    def log_counts_of(self, items_C: Ints) -> NDArray[np.float32]:
        """Return `log(1 + count)` of every own count of each of these items, zero for other people's.

        >>> own = OwnItems(np.array([7, 9]), np.array([[1.5], [2.5]], np.float32))
        >>> own.log_counts_of(np.array([9, 8, 7])).ravel().tolist()
        [2.5, 0.0, 1.5]
        """
        if not len(self.items_T):
            return np.zeros((len(items_C), len(OWN_COUNTS)), np.float32)
        at_C = np.minimum(np.searchsorted(self.items_T, items_C), len(self.items_T) - 1)
        log_counts_CF: NDArray[np.float32] = self.log_counts_TF[at_C] * (self.items_T[at_C] == items_C)[:, None]
        return log_counts_CF

    def boosts(self, weights: BoostWeights, logit_scale: float) -> Own:
        boost_T = self.log_counts_TF @ np.array(weights.own, np.float32) / np.float32(logit_scale)
        return Own(self.items_T, boost_T)


def own_items(history: History, scenario: int, moment_ms: int) -> OwnItems:
    """Return the items of a user's events and their counts at a moment, for the boost in one scenario.

    >>> history = History(*np.array([[7, 9, 7], [0, 0, 0], [0, 0, 1], [0, 0, 0]]))
    >>> own = own_items(history, scenario=0, moment_ms=0)
    >>> own.items_T, np.exp(own.log_counts_TF[:, [2, 5]]).round().astype(int).tolist()
    (array([7, 9]), [[2, 3], [2, 2]])
    """
    counted_L = _counted(history)
    by_item_L = counted_L[np.argsort(history.item_L[counted_L], kind="stable")]
    item_L, is_here_L1 = history.item_L[by_item_L], (history.scenario_L[by_item_L] == scenario)[:, None]
    age_days_L = np.maximum(0, moment_ms - history.timestamp_ms_L[by_item_L]) / MS_PER_DAY
    weights_LH = np.exp2(age_days_L[:, None] * PER_HALF_LIFE_H)
    weights_LF = np.concatenate([weights_LH * is_here_L1, weights_LH], axis=1)
    begin_T = np.flatnonzero(np.append(True, item_L[1:] != item_L[:-1])[: len(item_L)])  # of each item's events
    counts_TF = np.add.reduceat(weights_LF, begin_T, axis=0)
    return OwnItems(item_L[begin_T], np.log1p(counts_TF.astype(np.float32)))


def _counted(history: History) -> Ints:
    """Return the positions of the events that count."""
    return mix(history, np.zeros_like(history.item_L), COUNTED)


def left_out(history: History) -> Own:
    """Return boosts that put a user's own items below all others, where evaluation leaves them out as serving does.

    Items of older events than are counted come back: a feature store does not know them.
    """
    items_T = np.unique(history.item_L[_counted(history)])
    return Own(items_T, np.full(len(items_T), LEFT_OUT))
