"""Measures: the events of a scenario in, some numbers per user, window and column out, whose means are compared.

- A numeric value is replaced by its rank among all, 0..1, so that no tail or infinite value weighs more.
  Its `shift` is the mean rank: a difference of .05 means that in 55 % of pairs the later value is the higher one. Its
  `spread` is the mean distance from the middle, 0..1.
- Of a categorical column, the shares of its most frequent levels and of the rest.
- Of each column that has such, the shares of nulls and of infinite values.

A user counts as much as some independent events would, since events of one user are alike.

Shapes: W 2 windows (reference, current), U users, R users by window, M measures, L levels.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from redrec.drift.permutation import Floats, Sample

ALIKE = 0.2  # how strongly a user's events correlate; it sets the weights of users, and no verdict depends on it
MAX_LEVELS = 20  # of a categorical column; the others are one level
REST = "(rest)"
USER, IS_CURRENT = "_user", "_is_current"  # no names of a log's columns
NUM_EVENTS = "num_events"  # of a user: a column of its own
QUANTILES = np.linspace(0, 1, 65)[1:-1]  # of a numeric column


What = Literal["shift", "spread", "share", "nulls", "infinite", "feature", "distance"]


class Measure(NamedTuple):
    column: str
    what: What
    level: str = ""  # of a share


class Column(Protocol):
    """What is measured of the events' values in a column."""

    measures: list[Measure]

    def of(self, values: pa.Array) -> NDArray[Any]:
        """Return the measures of each event, `measured_NM`; nan of one without a value."""
        ...


class RankColumn:
    """The ranks of a numeric column's values, among all values of both windows; `cuts` are their quantiles."""

    def __init__(self, column: str, cuts: NDArray[np.float64]) -> None:
        self.cuts = np.sort(cuts)
        self.measures = [Measure(column, "shift"), Measure(column, "spread"), Measure(column, "infinite")]

    def of(self, values: pa.Array) -> NDArray[Any]:
        value_N = values.to_numpy(zero_copy_only=False).astype(np.float64)
        position_N = np.searchsorted(self.cuts, value_N, "left") + np.searchsorted(self.cuts, value_N, "right")
        rank_N = np.where(np.isnan(value_N), np.nan, position_N / (2 * max(len(self.cuts), 1)))
        is_infinite_N = np.where(np.isnan(value_N), np.nan, np.isinf(value_N))
        return np.stack([rank_N, np.abs(2 * rank_N - 1), is_infinite_N], axis=1)


class LevelColumn:
    """The levels of a categorical column."""

    def __init__(self, column: str, levels: list[str]) -> None:
        self.levels = pa.array(levels, pa.string())
        self.measures = [*(Measure(column, "share", level) for level in levels), Measure(column, "share", REST)]

    def of(self, values: pa.Array) -> NDArray[Any]:
        position_N = pc.index_in(values, self.levels).fill_null(len(self.levels)).to_numpy()
        measured_NM = np.eye(len(self.levels) + 1)[position_N]
        measured_NM[values.is_null().to_numpy(zero_copy_only=False)] = np.nan
        return measured_NM


class UserSums:
    """Sums of the measures of events, by window and user; added in batches."""

    def __init__(self, columns: Mapping[str, Column], num_users: int) -> None:
        self.columns, self.num_users = columns, num_users
        rows = 2 * num_users
        self.num_events = np.zeros(rows)
        self.total = {name: np.zeros((rows, len(one.measures)), dtype=np.float32) for name, one in columns.items()}
        self.num_known = {name: np.zeros(rows, dtype=np.float32) for name in columns}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add events with the number of their USER, whether they are IS_CURRENT, and the columns."""
        row_N = batch[USER].to_numpy() + self.num_users * batch[IS_CURRENT].to_numpy(zero_copy_only=False)
        rows, number_N, counts = np.unique(row_N, return_inverse=True, return_counts=True)
        is_of_RN = csr_array((np.ones(len(row_N), np.float32), (number_N, np.arange(len(row_N)))))
        self.num_events[rows] += counts
        for name, column in self.columns.items():
            measured_NM = column.of(batch[name]).astype(np.float32, copy=False)
            is_known_N = ~np.isnan(measured_NM[:, 0])
            measured_NM[~is_known_N] = 0
            self.total[name][rows] += is_of_RN @ measured_NM
            self.num_known[name][rows] += is_of_RN @ is_known_N.astype(np.float32)

    def values(self) -> "UserValues":
        """Return the means of each user's events, and the share of those without a value."""
        values, measures = [], []
        for name, column in self.columns.items():
            values += [self.mean(name), self._share_of_nulls(name)]
            measures += [*column.measures, Measure(name, "nulls")]
        value_RM = np.concatenate(values, axis=1, dtype=np.float32)
        return UserValues(self._sample(value_RM), measures)

    def activity(self) -> "UserValues":
        """Return the rank of each user's number of events; here all users count the same."""
        is_seen_R = self.num_events > 0
        ranks = RankColumn(NUM_EVENTS, np.quantile(self.num_events[is_seen_R], QUANTILES))
        rank_R1 = ranks.of(pa.array(self.num_events))[:, :1].astype(np.float32)
        weight_WU = is_seen_R.reshape(2, self.num_users).astype(np.float32)
        return UserValues(self._sample(rank_R1)._replace(weight_WU=weight_WU), ranks.measures[:1])

    def sample(self, name: str) -> Sample:
        """Return the means of one column."""
        return self._sample(self.mean(name))

    def mean(self, name: str) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_RM: Floats = self.total[name] / self.num_known[name][:, None]
        return mean_RM

    def _sample(self, value_RM: Floats) -> Sample:
        """Return the values with their weights: a user counts at most as much as 1 / ALIKE independent events."""
        weight_R = self.num_events / (1 + (self.num_events - 1) * ALIKE)
        weight_WU = weight_R.reshape(2, self.num_users).astype(np.float32)
        return Sample(value_RM.reshape(2, self.num_users, -1), weight_WU)

    def _share_of_nulls(self, name: str) -> NDArray[Any]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 - self.num_known[name] / self.num_events)[:, None]


class UserValues(NamedTuple):
    sample: Sample
    measures: list[Measure]
