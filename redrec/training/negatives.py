"""Negatives: the items that a scenario's cuts are trained against, and how often each is drawn.

They are drawn per scenario, for the whole step, half evenly and half by popularity, among the items that may be shown
there and occur in training. No user could have chosen an item that came later: it would be a negative only, and the
model would learn that nobody wants it. A small catalog is taken whole.

Shapes: N negatives, or the items they are drawn from; S scenarios.
"""

from typing import Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.history import Array, Ints

NO_SHARE = np.inf  # offset of a negative that only pads a process's share: its weight is zero


class Negatives(NamedTuple, Generic[Array]):
    """One scenario's negatives: `own_N` is this process's share, the other arrays are of all, in order of rank."""

    own_N: Array  # index in `items_M`
    offset_N: Array  # what the loss subtracts from a logit: the log of the expected count in the draw, less the prior
    item_N: Array  # index in `items_M`; M if the item is not in this process's batch
    is_full: bool  # whether they are all candidates of the scenario
    excludes_seen: bool  # whether an item that the user has had before the cut is none


def candidates(counts_SN: Ints, allowed_SN: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether an item may be a scenario's negative; if all items of a scenario are new, all may be."""
    is_candidate_SN = allowed_SN & counts_SN.any(0)
    return np.where(is_candidate_SN.any(1, keepdims=True), is_candidate_SN, allowed_SN)


class Proposal:
    """The source of one scenario's negatives: all candidates, or a mixture of a uniform and a popularity draw."""

    def __init__(
        self,
        count_N: Ints,
        is_candidate_N: NDArray[np.bool_],
        prior_N: NDArray[np.float32],
        num_uniform: int,
        num_popular: int,
        max_full_catalog: int,
    ) -> None:
        self.candidates = np.flatnonzero(is_candidate_N)
        self.num_uniform, self.num_popular = num_uniform, num_popular
        self.is_full = len(self.candidates) <= max_full_catalog
        count = count_N[self.candidates].astype(float)
        share = count / count.sum() if count.any() else np.full(len(count), 1 / len(count))
        self.cumulative = np.cumsum(share)
        expected = num_popular * share + num_uniform / len(self.candidates)
        self.prior = prior_N[self.candidates]
        self.log_count = np.log(expected + 1e-12).astype(np.float32)

    def draw(self, rng: np.random.Generator, num_processes: int) -> tuple[Ints, NDArray[np.float32]]:
        """Return items and their offsets, padded to a multiple of `num_processes`."""
        if self.is_full:
            drawn, offset = np.arange(len(self.candidates)), -self.prior
        else:
            uniform = rng.integers(len(self.candidates), size=self.num_uniform)
            at = rng.random(self.num_popular) * self.cumulative[-1]
            drawn = np.concatenate([uniform, np.searchsorted(self.cumulative, at, side="right")])
            offset = self.log_count[drawn] - self.prior[drawn]
        rest = (0, -len(drawn) % num_processes)
        return self.candidates[np.pad(drawn, rest)], np.pad(offset, rest, constant_values=NO_SHARE)
