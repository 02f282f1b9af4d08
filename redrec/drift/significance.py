"""Significance: what was measured of users in; by column, how large its change is and how likely without a cause, out.

The statistic of a column is the largest of its measures' differences, each in its own standard deviations under the
permutations; of vectors, the cube root of the squared distance, which is nearly normal. A p-value is adjusted for all
columns by the distribution of the largest statistic among them (Westfall and Young, 1993), and for scenarios by their
number (Bonferroni).

Shapes: W 2 windows, M measures, P permutations, the observed one first, C columns.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.drift.config import DriftConfig
from redrec.drift.interests import squared_distances
from redrec.drift.measures import Measure, UserSums, UserValues
from redrec.drift.permutation import Differences, permuted_differences, weighted_means

PER_LEVEL = 4  # the smallest p-value, adjusted for scenarios, is that part of alpha


Kind = Literal["values", "nulls", "infinite", "distance"]  # what a change is of


class ColumnChange(NamedTuple):
    """The most significant change of a column, in its measure; and by kind the largest one, significant or not."""

    measure: Measure
    before: float
    after: float
    effect: float
    effects: dict[Kind, float]
    p: float
    p_adjusted: float

    @property
    def kind(self) -> Kind:
        return kind_of(self.measure)


def kind_of(measure: Measure) -> Kind:
    if measure.what == "nulls" or measure.what == "infinite" or measure.what == "distance":
        return measure.what
    return "values"


class Drawn(NamedTuple):
    """A column's statistics, before they are compared with those of the others."""

    measures: list[Measure]
    mean_WM: NDArray[np.float64]
    statistic_M: NDArray[np.float64]  # observed
    statistic_P: NDArray[np.float64]  # the largest of the measures'


def num_permutations(config: DriftConfig, num_scenarios: int) -> int:
    return max(config.num_permutations, round(PER_LEVEL * num_scenarios / config.alpha))


def changes(
    sums: UserSums, vectors: Mapping[str, UserSums], config: DriftConfig, num_scenarios: int
) -> dict[str, ColumnChange]:
    """Return the change of each column of a scenario that has users in both windows."""
    measured = [sums.activity(), sums.values()]
    seen = measured[1].sample.weight_WU
    samples = [one.sample for one in measured]
    samples += [of_vectors.sample(name)._replace(weight_WU=seen) for name, of_vectors in vectors.items()]
    differences = permuted_differences(samples, num_permutations(config, num_scenarios), config.seed)
    drawn: dict[str, Drawn] = {}
    for values, own in zip(measured, differences[:2], strict=True):
        drawn |= _drawn_values(values, own)
    for name, own in zip(vectors, differences[2:], strict=True):
        drawn[name] = _drawn_vectors(name, own)
    largest_P = np.max([one.statistic_P for one in drawn.values()], axis=0)
    return {name: _change(one, largest_P, num_scenarios, config.alpha) for name, one in drawn.items()}


def _drawn_values(values: UserValues, differences: Differences) -> dict[str, Drawn]:
    statistic_PM = _standardised(np.vstack([differences.observed_M, differences.permuted_PM]))
    mean_WM = weighted_means(*values.sample)
    drawn = {}
    for column in dict.fromkeys(measure.column for measure in values.measures):
        own = [number for number, measure in enumerate(values.measures) if measure.column == column]
        own_PM = statistic_PM[:, own]
        measures = [values.measures[number] for number in own]
        drawn[column] = Drawn(measures, mean_WM[:, own], own_PM[0], own_PM.max(axis=1))
    return drawn


def _drawn_vectors(name: str, differences: Differences) -> Drawn:
    observed, permuted_P = squared_distances(differences)
    statistic_P1 = _standardised(np.cbrt(np.append(observed, permuted_P))[:, None], is_two_sided=False)
    distance = max(0.0, observed - float(permuted_P.mean())) ** 0.5
    return Drawn([Measure(name, "distance")], np.array([[0.0], [distance]]), statistic_P1[0], statistic_P1[:, 0])


def _standardised(drawn_PM: NDArray[np.floating], is_two_sided: bool = True) -> NDArray[np.float64]:
    deviation_PM = drawn_PM.astype(np.float64) - drawn_PM.mean(axis=0, dtype=np.float64)
    scale_M = deviation_PM.std(axis=0)
    is_constant_M = scale_M < 1e-9  # of shares and ranks, which are in 0..1
    standardised_PM = np.where(is_constant_M, 0, deviation_PM / np.where(is_constant_M, 1, scale_M))
    return np.abs(standardised_PM) if is_two_sided else standardised_PM


def _change(drawn: Drawn, largest_P: NDArray[np.float64], num_scenarios: int, alpha: float) -> ColumnChange:
    adjusted_M = np.minimum(1, num_scenarios * (largest_P[:, None] >= drawn.statistic_M).mean(axis=0))
    at = _deciding(drawn, adjusted_M <= alpha)
    before, after = drawn.mean_WM[:, at].tolist()
    return ColumnChange(
        drawn.measures[at],
        before,
        after,
        abs(after - before),
        _largest_effects(drawn),
        float((drawn.statistic_P >= drawn.statistic_M.max()).mean()),
        float(adjusted_M[at]),
    )


def _deciding(drawn: Drawn, is_significant_M: NDArray[np.bool_]) -> int:
    """Return the measure with the largest statistic; a level that is new, if significant, explains those that lost."""
    is_new_M = is_significant_M & (drawn.mean_WM[0] == 0) & [measure.what == "share" for measure in drawn.measures]
    return int(np.where(is_new_M, np.inf, drawn.statistic_M).argmax())


def _largest_effects(drawn: Drawn) -> dict[Kind, float]:
    effects: dict[Kind, float] = {}
    for measure, difference in zip(drawn.measures, np.diff(drawn.mean_WM, axis=0)[0].tolist(), strict=True):
        kind = kind_of(measure)
        effects[kind] = max(abs(difference), effects.get(kind, 0.0))
    return effects
