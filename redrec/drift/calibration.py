"""Calibration: how much each column changes from one week to the next when nothing is wrong; larger changes count.

Ordinary weeks differ, and with many users every difference is significant. So the past weeks of a log are compared in
pairs. A column's floor is its ordinary change (root mean square over the pairs) times a factor that all columns share:
the 95th percentile, for one more pair, of the largest ratio of a change to its column's ordinary one. The percentile is
that of a normal distribution whose mean and deviation are known from the pairs alone (a prediction interval), since
there may be as few as eight.

Shapes: P pairs, K columns of all scenarios by kind of change.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from redrec.config import Record
from redrec.drift.config import DriftConfig
from redrec.drift.significance import ColumnChange, Kind

MIN_PAIRS = 8  # with fewer, the defaults hold
SHARE = 0.95

Effects = dict[str, dict[str, dict[Kind, float]]]  # by scenario, column and kind of change


class Calibration(Record):
    num_pairs: int
    floors: Effects

    def floor(self, scenario: str, change: ColumnChange, config: DriftConfig) -> float:
        """Return the least change that counts: the default where the past has fewer pairs, or never had a change."""
        default = config.vector_floor if change.kind == "distance" else config.value_floor
        if self.num_pairs < MIN_PAIRS:
            return default
        return self.floors.get(scenario, {}).get(change.measure.column, {}).get(change.kind) or default


NOT_CALIBRATED = Calibration(num_pairs=0, floors={})


def calibrated(pairs: list[Effects]) -> Calibration:
    """Return the floors by what changed between the windows of each pair."""
    flat = [_flat(pair) for pair in pairs]
    keys = sorted(set().union(*flat))
    effect_PK = np.zeros((len(pairs), len(keys)))
    for number, pair in enumerate(flat):
        effect_PK[number] = [pair.get(key, 0.0) for key in keys]
    if len(pairs) < MIN_PAIRS:
        return Calibration(num_pairs=len(pairs), floors={})
    floors: Effects = {}
    for (scenario, column, kind), floor in zip(keys, _floors(effect_PK).tolist(), strict=True):
        floors.setdefault(scenario, {}).setdefault(column, {})[kind] = floor
    return Calibration(num_pairs=len(pairs), floors=floors)


def _floors(effect_PK: NDArray[np.float64]) -> NDArray[np.float64]:
    square_PK, num = np.square(effect_PK), len(effect_PK)
    others_PK = np.sqrt((square_PK.sum(axis=0) - square_PK) / (num - 1))  # so that no pair is its own measure
    ratio_PK = np.divide(effect_PK, others_PK, out=np.zeros_like(effect_PK), where=others_PK > 0)
    largest_P = ratio_PK.max(axis=1)
    factor = largest_P.mean() + t.ppf(SHARE, num - 1) * largest_P.std(ddof=1) * (1 + 1 / num) ** 0.5
    floor_K: NDArray[np.float64] = factor * np.sqrt(square_PK.mean(axis=0))
    return floor_K


def _flat(pair: Effects) -> dict[tuple[str, str, Kind], float]:
    effects: dict[tuple[str, str, Kind], float] = {}
    for scenario, columns in pair.items():
        for column, by_kind in columns.items():
            effects |= {(scenario, column, kind): effect for kind, effect in by_kind.items()}
    return effects
