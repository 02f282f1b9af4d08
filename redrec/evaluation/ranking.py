"""Ranks of the targets over the full catalog of a scenario, from any scorer.

A rank needs no sorted list: it is one plus the number of items that score higher, a tie going to the item with
the lower index (as exact search does). Metrics at every k follow from the ranks. Both protocols come from one
pass: `rank` among all candidates, and `rank_unseen` among those the user has not touched before.

Shapes: B users of a block, N items, T targets of a user.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import TEST, Histories

MAX_SCORES = 8_000_000  # of one block of users, so that memory is bounded at 32 MB a scorer

Scorer = Callable[[Sequence[int], int], NDArray[np.floating]]  # users, scenario -> scores_BN


class Case(NamedTuple):
    """One user to be asked for one scenario: the targets, and what was touched before."""

    user: int
    target_T: NDArray[np.int64]
    seen: NDArray[np.int64]


class Ranks(NamedTuple):
    """One user's ranks, from 1; `unseen_T` says which targets were new to the user."""

    rank_T: NDArray[np.int64]
    rank_unseen_T: NDArray[np.int64]
    unseen_T: NDArray[np.bool_]


def cases_of(histories: Histories, scenario: int, target_window: int, max_users: int, seed: int) -> list[Case]:
    """Return the users with test events in `scenario`; targets are the first distinct `target_window` items.

    Where more users have targets than `max_users`, a seeded sample of them.
    """
    users = histories.users_with_targets(scenario, TEST)
    users = users[histories.num_train_U[users] > 0]
    cases = []
    for user in np.random.default_rng(seed).permutation(users)[:max_users]:
        items = histories.item_N[histories.targets(user, scenario, TEST)].astype(np.int64)
        distinct = items[np.sort(np.unique(items, return_index=True)[1])][:target_window]
        cases.append(Case(int(user), distinct, np.unique(histories.train_of(user).item_L)))
    return cases


def rank_targets(
    scorer: Scorer, cases: Sequence[Case], scenario: int, is_candidate_N: NDArray[np.bool_]
) -> Iterator[Ranks]:
    """Yield the ranks of each case's targets, in order, scoring a block of users at a time."""
    num_users = max(1, MAX_SCORES // len(is_candidate_N))
    for start in range(0, len(cases), num_users):
        block = cases[start : start + num_users]
        scores_BN = scorer([case.user for case in block], scenario).astype(np.float32)
        scores_BN[:, ~is_candidate_N] = -np.inf
        for case, scores_N in zip(block, scores_BN, strict=True):
            yield ranks(scores_N, case.target_T, case.seen)


def ranks(scores_N: NDArray[np.floating], target_T: NDArray[np.int64], seen: NDArray[np.int64]) -> Ranks:
    """Return one user's ranks.

    >>> ranks(np.array([0.9, 0.5, 0.7, 0.5]), np.array([1, 3]), np.array([0]))
    Ranks(rank_T=array([3, 4]), rank_unseen_T=array([2, 3]), unseen_T=array([ True,  True]))
    """
    score_T = scores_N[target_T]
    above_T = np.array([np.count_nonzero(scores_N > score) for score in score_T])
    ties_T = [np.count_nonzero(scores_N[:t] == score) for t, score in zip(target_T, score_T, strict=True)]
    rank_T = 1 + above_T + np.array(ties_T)
    seen_above_TX = scores_N[seen][None] > score_T[:, None]
    seen_before_TX = (scores_N[seen][None] == score_T[:, None]) & (seen[None] < target_T[:, None])
    num_seen_above_T = (seen_above_TX | seen_before_TX).sum(1)
    return Ranks(rank_T, rank_T - num_seen_above_T, ~np.isin(target_T, seen))
