"""Interests: are users shown, and do they use, items of the same kind as before? By the vectors of the items.

The distance is the maximum mean discrepancy of a Gaussian kernel (Gretton et al., 2012), by random Fourier features
(Rahimi and Recht, 2007): of each event's vector, the features; of each user, their mean over a fixed number of events,
so that more or less activity is no change of interests. Half of the features have the median distance between vectors
as their bandwidth, half of them a quarter of it, since tastes may change inside a category.

Shapes: N events, D dimensions, F features.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from redrec.drift.measures import Measure
from redrec.drift.permutation import Differences, Floats

NUM_FEATURES = 256
SAMPLE = 1_000  # vectors whose median distance is taken
BANDWIDTHS = (1.0, 0.25)  # of the median distance


class RandomFeatures:
    """The features of vectors, as what is measured of a column of lists."""

    def __init__(self, column: str, sample_ND: Floats, seed: int) -> None:
        self.num_dimensions = sample_ND.shape[1]
        self.measures = [Measure(column, "feature", str(number)) for number in range(NUM_FEATURES)]
        rng = np.random.default_rng(seed)
        size = NUM_FEATURES // len(BANDWIDTHS)
        bandwidths_F = np.repeat(np.array(BANDWIDTHS), size) * _median_distance(sample_ND[:SAMPLE])
        self.frequency_DF = (rng.standard_normal((sample_ND.shape[1], NUM_FEATURES)) / bandwidths_F).astype(np.float32)
        self.phase_F = rng.uniform(0, 2 * np.pi, NUM_FEATURES).astype(np.float32)

    def of(self, values: pa.Array) -> Floats:
        """Return the features; the product of two events' is the mean over the bandwidths of the kernel, at most 1."""
        vector_ND, is_whole_N = vectors(values, self.num_dimensions)
        feature_NF: Floats = np.cos(vector_ND @ self.frequency_DF + self.phase_F) * np.float32(
            (2 / NUM_FEATURES) ** 0.5
        )
        feature_NF[~is_whole_N] = np.nan
        return feature_NF


def vectors(values: pa.Array, num_dimensions: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return lists of numbers as `vector_ND`, 0 where one has another length or a number that is not finite."""
    is_whole_N = pc.fill_null(pc.equal(pc.list_value_length(values), num_dimensions), False).to_numpy(
        zero_copy_only=False
    )
    vector_ND = np.zeros((len(values), num_dimensions), dtype=np.float32)
    flat = pc.list_flatten(values.filter(pa.array(is_whole_N))).to_numpy(zero_copy_only=False)
    vector_ND[is_whole_N] = flat.reshape(-1, num_dimensions)
    is_whole_N &= np.isfinite(vector_ND).all(axis=1)
    vector_ND[~is_whole_N] = 0
    return vector_ND, is_whole_N


def _median_distance(sample_ND: Floats) -> float:
    square_N = (sample_ND**2).sum(axis=1)
    distance_NN = np.sqrt(np.maximum(square_N[:, None] + square_N - 2 * sample_ND @ sample_ND.T, 0))
    distances = distance_NN[np.triu_indices(len(sample_ND), k=1)]
    median = float(np.median(distances)) if len(distances) else 0.0
    return median or 1.0


def squared_distances(differences: Differences) -> tuple[float, NDArray[np.float64]]:
    """Return the squared distance of the two windows' means, and that of each permutation."""
    observed = (differences.observed_M.astype(np.float64) ** 2).sum()
    return float(observed), (differences.permuted_PM.astype(np.float64) ** 2).sum(axis=1)
