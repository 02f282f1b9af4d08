"""Permutation: how far the means of two windows would be apart if it did not matter in which window a user was seen.

Users are what is drawn, since a user's events resemble each other. Who was seen in both windows keeps both, and they
are swapped with probability 1/2; who was seen in one is assigned to a window, so that as many are in each as before.

Shapes: W 2 windows (reference, current), U users, M measures, P permutations.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 16_000_000  # labels that are drawn at once, of 4 bytes

Floats = NDArray[np.float32]


class Sample(NamedTuple):
    """What is measured of the users; a weight of 0 says that one was not seen in a window.

    What a seen user has no value for is nan, and counts as the mean.
    """

    value_WUM: Floats
    weight_WU: Floats


class Differences(NamedTuple):
    """Weighted mean of the current window less that of the reference: as observed, and under each permutation."""

    observed_M: Floats
    permuted_PM: Floats


def permuted_differences(samples: Sequence[Sample], num: int, seed: int) -> list[Differences]:
    """Return the differences of samples of the same users, under the same permutations."""
    is_seen_WU = samples[0].weight_WU > 0
    is_both_U, is_one_U = is_seen_WU[0] & is_seen_WU[1], is_seen_WU[0] ^ is_seen_WU[1]
    terms = [_terms(sample, is_both_U, is_one_U) for sample in samples]
    is_current_O = is_seen_WU[1, is_one_U]
    drawn: list[list[Floats]] = [[] for _ in terms]
    for sign_PB, label_PO in _labels(num, int(is_both_U.sum()), is_current_O, seed):
        for blocks, term in zip(drawn, terms, strict=True):
            blocks.append(sign_PB @ term.swapped_BM + label_PO @ term.one_OM + term.fixed_M)
    return [
        Differences(one.swapped_BM.sum(axis=0) + one.one_OM[is_current_O].sum(axis=0) + one.fixed_M, np.vstack(blocks))
        for one, blocks in zip(terms, drawn, strict=True)
    ]


class _Terms(NamedTuple):
    """A difference is the users' swapped ones with their signs, those seen once if current, and what never changes."""

    swapped_BM: Floats
    one_OM: Floats
    fixed_M: Floats


def _terms(sample: Sample, is_both_U: NDArray[np.bool_], is_one_U: NDArray[np.bool_]) -> _Terms:
    centred_WUM = _centred(*sample)
    before, since = (1 / (sample.weight_WU > 0).sum(axis=1)).tolist()
    before_BM, since_BM = centred_WUM[0, is_both_U], centred_WUM[1, is_both_U]
    one_OM = centred_WUM[:, is_one_U].sum(axis=0)
    fixed_M = (since - before) / 2 * (since_BM + before_BM).sum(axis=0) - before * one_OM.sum(axis=0)
    return _Terms((since + before) / 2 * (since_BM - before_BM), (since + before) * one_OM, fixed_M)


def weighted_means(value_WUM: Floats, weight_WU: Floats) -> NDArray[Any]:
    """Return the means over the users that have a value, `mean_WM`; 0 where none has."""
    weight_WUM = np.where(np.isnan(value_WUM), 0, weight_WU[:, :, None])
    total_WM = (np.where(np.isnan(value_WUM), 0, value_WUM) * weight_WUM).sum(axis=1, dtype=np.float64)
    sum_WM = weight_WUM.sum(axis=1, dtype=np.float64)
    mean_WM: NDArray[Any] = total_WM / np.where(sum_WM > 0, sum_WM, 1)
    return mean_WM


def _centred(value_WUM: Floats, weight_WU: Floats) -> Floats:
    """Return the weighted values less the mean of all that are known, 0 where there is none."""
    both_1UM, weight_1U = value_WUM.reshape(1, -1, value_WUM.shape[2]), weight_WU.reshape(1, -1)
    mean_M = weighted_means(both_1UM, weight_1U)[0].astype(np.float32)
    mean_weight = weight_WU[weight_WU > 0].mean()
    deviation_WUM = np.where(np.isnan(value_WUM), 0, value_WUM - mean_M)
    centred_WUM: Floats = deviation_WUM * (weight_WU / mean_weight)[:, :, None]
    return centred_WUM


def _labels(num: int, num_both: int, is_current_O: NDArray[np.bool_], seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield, for some permutations at a time, signs of the users of both windows and labels of the others."""
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(1, num_both + len(is_current_O)))
    for start in range(0, num, size):
        num_rows = min(size, num - start)
        sign_PB = 2 * rng.integers(0, 2, (num_rows, num_both), dtype=np.int8).astype(np.float32) - 1
        yield sign_PB, rng.permuted(np.tile(is_current_O, (num_rows, 1)), axis=1).astype(np.float32)
