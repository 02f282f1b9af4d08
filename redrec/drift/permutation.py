"""Permutation: how far the means of two windows would be apart if it did not matter in which window a user was seen.

Users are what is drawn, since a user's events resemble each other. Who was seen in both windows keeps both, and they
are swapped with probability 1/2; who was seen in one is assigned to a window, so that as many are in each as before.

Shapes: W 2 windows (reference, current), U users, M measures, P permutations.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 16_000_000  # labels that are drawn at once, of 4 bytes

Floats = NDArray[np.float32]


class Differences(NamedTuple):
    """Mean of the current window less mean of the reference: as observed, and under each permutation."""

    observed_M: Floats
    permuted_PM: Floats


def permuted_differences(value_WUM: Floats, weight_WU: Floats, num: int, seed: int) -> Differences:
    """Return the differences of the weighted means over users.

    A weight of 0 says that a user was not seen; what a seen user has no value for is nan, and counts as the mean. The
    same seed gives the same permutations, whatever is measured.
    """
    centred_WUM, is_seen_WU = _centred(value_WUM, weight_WU), weight_WU > 0
    is_both_U, is_one_U = is_seen_WU.all(axis=0), is_seen_WU[0] ^ is_seen_WU[1]
    share_W = 1 / is_seen_WU.sum(axis=1)
    before_BM, since_BM = centred_WUM[0, is_both_U], centred_WUM[1, is_both_U]
    swapped_BM = (share_W.sum() / 2 * (since_BM - before_BM)).astype(np.float32)
    kept_M = (share_W[1] - share_W[0]) / 2 * (since_BM + before_BM).sum(axis=0)
    one_OM = (share_W.sum() * centred_WUM.sum(axis=0)[is_one_U]).astype(np.float32)
    reference_M = share_W[0] * centred_WUM.sum(axis=0)[is_one_U].sum(axis=0)
    is_current_O = is_seen_WU[1, is_one_U]
    observed_M = swapped_BM.sum(axis=0) + kept_M + one_OM[is_current_O].sum(axis=0) - reference_M
    permuted_PM = np.empty((num, value_WUM.shape[2]), dtype=np.float32)
    for rows, sign_PB, label_PO in _labels(num, len(swapped_BM), is_current_O, seed):
        permuted_PM[rows] = sign_PB @ swapped_BM + kept_M + label_PO @ one_OM - reference_M
    return Differences(observed_M.astype(np.float32), permuted_PM)


def weighted_means(value_WUM: Floats, weight_WU: Floats) -> NDArray[Any]:
    """Return the means over the users that have a value, `mean_WM`; 0 where none has."""
    weight_WUM = np.where(np.isnan(value_WUM), 0, weight_WU[:, :, None])
    total_WM = (np.nan_to_num(value_WUM) * weight_WUM).sum(axis=1, dtype=np.float64)
    sum_WM = weight_WUM.sum(axis=1, dtype=np.float64)
    mean_WM: NDArray[Any] = total_WM / np.where(sum_WM > 0, sum_WM, 1)
    return mean_WM


def _centred(value_WUM: Floats, weight_WU: Floats) -> Floats:
    """Return the weighted values less the mean of all that are known, 0 where there is none."""
    both_1UM, weight_1U = value_WUM.reshape(1, -1, value_WUM.shape[2]), weight_WU.reshape(1, -1)
    mean_M = weighted_means(both_1UM, weight_1U)[0].astype(np.float32)
    mean_weight = weight_WU[weight_WU > 0].mean()
    centred_WUM: Floats = np.nan_to_num(value_WUM - mean_M) * (weight_WU / mean_weight)[:, :, None]
    return centred_WUM


def _labels(
    num: int, num_both: int, is_current_O: NDArray[np.bool_], seed: int
) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield, for some permutations at a time, signs of the users of both windows and labels of the others."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, num_both + len(is_current_O)))
    for start in range(0, num, size):
        rows = slice(start, min(start + size, num))
        num_rows = rows.stop - start
        sign_PB = 2 * rng.integers(0, 2, (num_rows, num_both), dtype=np.int8).astype(np.float32) - 1
        label_PO = np.empty((num_rows, len(is_current_O)), dtype=np.float32)
        for row in range(num_rows):
            label_PO[row] = rng.permutation(is_current_O)
        yield rows, sign_PB, label_PO
