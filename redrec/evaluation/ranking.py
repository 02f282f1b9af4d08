"""Ranks of the targets over the full catalog of a scenario, from any scorer, a block of users and items at a time.

A rank needs no sorted list: it is one plus the number of items above the target. So the target's own score is computed
first, and then every block of items is scored, counted and dropped, for so few users at a time that their scores stay
in the processor's cache: apart from the histories of `USERS_PER_BLOCK` users, some 20 MB are needed for any catalog.
Metrics at every k follow from the ranks. One pass gives both protocols: `rank` among all candidates, and
`rank_unseen` among the candidates that are no known items of the user.

Scores closer than their rounding are equal, and among equal scores the lower item index is above, as in exact search.

Shapes: U users, B of them in a block, N items, M of them in a block, T targets of a user, Q interests, D embedding.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories
from redrec.evaluation.cases import Case, padded_targets, without_scenario
from redrec.evaluation.contenders import queries_with, reranked
from redrec.evaluation.popularity import last_hour
from redrec.evaluation.scorers import Scorer
from redrec.history import Ints
from redrec.index.exact import ITEMS_PER_PRODUCT, USERS_PER_PRODUCT, best_scores
from redrec.model.boosts import Own

USERS_PER_BLOCK = 1024  # per read of the catalog
ROUNDING = 1e-6  # of a float32 dot product, relative to the sum of its absolute terms

Floats = NDArray[np.floating]


class Ranks(NamedTuple):
    """Ranks from 1, and 0 for no target (or no unseen one); for each target the interest that scores it best."""

    rank_UT: Ints
    rank_unseen_UT: Ints  # of the targets that are no known items of the user
    winner_UT: Ints  # -1 for no target
    cosine_U: Floats  # mean over the pairs of a user's interests, nan if there is only one

    def of(self, users_A: NDArray[np.bool_] | Ints) -> "Ranks":
        """Return the ranks of some users, given by a mask or by their indices."""
        return Ranks._make(values[users_A] for values in self)


class Targets(NamedTuple):
    """The targets of a block of users: positions among the candidates, and the range of scores that are equal."""

    is_target_BT: NDArray[np.bool_]
    is_candidate_BT: NDArray[np.bool_]
    position_BT: Ints
    low_BT: Floats
    high_BT: Floats
    winner_BT: Ints

    def of(self, users: slice) -> "Targets":
        return Targets._make(values[users] for values in self)


class Seen(NamedTuple):
    """Pairs of a user and a known item, by the item's position among the candidates, with its boost; sorted by user."""

    user_X: Ints
    position_X: Ints
    boost_X: Floats

    def of(self, users: slice) -> "Seen":
        """Return the pairs of some users, as if the first of them were user 0."""
        pairs = slice(*np.searchsorted(self.user_X, [users.start, users.stop]))
        return Seen(self.user_X[pairs] - users.start, self.position_X[pairs], self.boost_X[pairs])

    def add_boosts(self, scores_BM: Floats, start: int) -> None:
        """Add the boosts to the scores of a block of items that begins at position `start`."""
        is_here_X = (self.position_X >= start) & (self.position_X < start + scores_BM.shape[1])
        scores_BM[self.user_X[is_here_X], self.position_X[is_here_X] - start] += self.boost_X[is_here_X]


def rank_cases(
    scorer: Scorer,
    histories: Histories,
    cases: Sequence[Case],
    scenario: int,
    is_candidate_N: NDArray[np.bool_],
    removed: int | None = None,
) -> Ranks:
    """Return the ranks of each case's targets; the scorer does not see the events of scenario `removed`."""
    target_UT = padded_targets(cases)
    blocks = [Ranks(target_UT[:0], target_UT[:0], target_UT[:0], np.empty(0))]
    order = [np.empty(0, dtype=np.int64)]
    for moment_ms, block_B in _blocks(scorer, histories, cases):
        known = [cases[u].known(histories) for u in block_B]
        shown = known if removed is None else [without_scenario(history, removed) for history in known]
        moment_ms_B = np.array([cases[u].moment_ms for u in block_B])
        queries = queries_with(scorer, shown, scenario, moment_ms_B)
        interests_BQD = np.stack([query.interests_QD for query in queries])
        seen, boost_N, own = [history.item_L for history in known], None, None
        if scorer.boosts is not None:
            boost_N, own = scorer.boosts.popular(scenario, moment_ms), list(map(scorer.boosts.own, queries))
        target_BT = target_UT[block_B]
        ranks = rank_targets(interests_BQD, scorer.embeddings_ND, target_BT, seen, is_candidate_N, boost_N, own)
        if scorer.ranker is not None:
            both_BT = reranked(scorer, queries, *ranks[:2], target_BT, seen, is_candidate_N)
            ranks = Ranks(*both_BT, *ranks[2:])
        blocks.append(ranks)
        order.append(block_B)
    in_order = Ranks._make(np.concatenate(values) for values in zip(*blocks, strict=True))
    return in_order.of(np.argsort(np.concatenate(order)))


def _blocks(scorer: Scorer, histories: Histories, cases: Sequence[Case]) -> Iterator[tuple[int, Ints]]:
    """Yield an hour and cases of it, of similar length since they are padded; without boosts hours do not matter."""
    length_U = np.array([case.end - histories.begin_U[case.user] for case in cases], dtype=np.int64)
    moment_ms_U = np.array([last_hour(case.moment_ms) if scorer.boosts else 0 for case in cases], dtype=np.int64)
    order_U = np.lexsort((length_U, moment_ms_U))
    for of_moment in np.split(order_U, np.flatnonzero(np.diff(moment_ms_U[order_U])) + 1):
        for start in range(0, len(of_moment), USERS_PER_BLOCK):
            yield int(moment_ms_U[of_moment[0]]), of_moment[start : start + USERS_PER_BLOCK]


def rank_targets(
    interests_BQD: Floats,
    embeddings_ND: Floats,
    target_BT: Ints,
    seen: Sequence[Ints],
    is_candidate_N: NDArray[np.bool_],
    boost_N: Floats | None = None,
    own: Sequence[Own] | None = None,
) -> Ranks:
    """Return the ranks of `target_BT` (-1 = none) among the candidates; `seen` are each user's known items.

    `boost_N` and each user's `own`, all of them known items, are added to the items' scores. A target that is no
    candidate ranks after all candidates.

    >>> embeddings_ND, interests_BQD = np.array([[0.9], [0.5], [0.7], [0.5]]), np.ones((1, 1, 1))
    >>> ranks = rank_targets(interests_BQD, embeddings_ND, np.array([[1, 3]]), [np.array([0])], np.full(4, True))
    >>> ranks.rank_UT, ranks.rank_unseen_UT
    (array([[3, 4]]), array([[2, 3]]))
    """
    interests_BQD, candidates = interests_BQD.astype(np.float32), np.flatnonzero(is_candidate_N)
    pair_X = _pairs(seen, len(is_candidate_N))
    boost_X = _own_boosts(pair_X, own, len(is_candidate_N))
    index_BT, is_seen_BT = _find(target_BT, pair_X, len(is_candidate_N))
    boost_BT = np.where(is_seen_BT, np.append(boost_X, 0)[index_BT], 0)
    boost_BT += 0 if boost_N is None else boost_N[target_BT]
    targets = _targets(interests_BQD, embeddings_ND, target_BT, is_candidate_N, boost_BT)
    known = _seen(pair_X, boost_X, is_candidate_N)
    above_BT, seen_above_BT = np.zeros_like(target_BT), np.zeros_like(target_BT)
    user_slices = [slice(b, b + USERS_PER_PRODUCT) for b in range(0, len(target_BT), USERS_PER_PRODUCT)]
    scratch = np.empty((2, USERS_PER_PRODUCT, min(ITEMS_PER_PRODUCT, len(candidates))), dtype=np.float32)
    for start in range(0, len(candidates), ITEMS_PER_PRODUCT):
        items_M = candidates[start : start + ITEMS_PER_PRODUCT]
        embeddings_DM = np.ascontiguousarray(embeddings_ND[items_M].T, dtype=np.float32)
        for users in user_slices:
            scores_BM, of_users = best_scores(interests_BQD[users], embeddings_DM, scratch), targets.of(users)
            if boost_N is not None:
                scores_BM += boost_N[items_M]
            if own is not None:
                known.of(users).add_boosts(scores_BM, start)
            above_BT[users] += _count_above(scores_BM, start, of_users)
            seen_above_BT[users] += _count_seen_above(scores_BM, start, of_users, known.of(users))
    rank_BT = np.where(targets.is_target_BT, 1 + above_BT, 0)
    is_new_BT = targets.is_target_BT & ~is_seen_BT
    rank_unseen_BT = np.where(is_new_BT, rank_BT - seen_above_BT, 0)
    return Ranks(rank_BT, rank_unseen_BT, targets.winner_BT, mean_cosine(interests_BQD))


def rank_among(interests_BQD: Floats, embeddings_ND: Floats, items_BX: Ints, boost_BX: Floats | None = None) -> Ints:
    """Return each user's rank of the first of `items_BX` among all of them: the sampled protocol of some papers.

    >>> rank_among(np.ones((1, 1, 1)), np.array([[3.0], [2.0], [2.0], [1.0]]), np.array([[2, 3, 1]]))
    array([2])
    """
    boost_BX = np.zeros(items_BX.shape, dtype=np.float32) if boost_BX is None else boost_BX
    target_BT, is_candidate_N = items_BX[:, :1], np.full(len(embeddings_ND), True)
    targets = _targets(interests_BQD, embeddings_ND, target_BT, is_candidate_N, boost_BX[:, :1])
    rank_B = np.empty(len(items_BX), dtype=np.int64)
    scratch = np.empty((2, 1, items_BX.shape[1]), dtype=np.float32)
    order_BX = np.argsort(items_BX, axis=1)
    for b, order_X in enumerate(order_BX):
        items_X = items_BX[b, order_X]
        scores_X = best_scores(interests_BQD[b : b + 1], embeddings_ND[items_X].astype(np.float32).T, scratch)[0]
        scores_X += boost_BX[b, order_X]
        bounds = targets.low_BT[b, 0], targets.high_BT[b, 0]
        rank_B[b] = 1 + num_above(scores_X, np.flatnonzero(order_X == 0)[0], True, *bounds)
    return rank_B


def num_above(scores_X: Floats, position: int, is_here: bool, low: float, high: float) -> int:
    """Count the scores above a target's: at least `low` before its position, above `high` after it.

    `is_here` says that the score at `position` is the target's own.
    """
    return int(np.count_nonzero(scores_X[:position] >= low) + np.count_nonzero(scores_X[position + is_here :] > high))


def mean_cosine(interests_BQD: Floats) -> Floats:
    """Return the mean cosine between the interests of a user, nan if there is only one.

    >>> mean_cosine(np.array([[[1.0, 0.0], [0.0, 3.0]], [[1.0, 0.0], [2.0, 0.0]]]))
    array([0., 1.])
    """
    num_interests = interests_BQD.shape[1]
    if num_interests == 1:
        return np.full(len(interests_BQD), np.nan)
    unit_BQD = interests_BQD / np.linalg.norm(interests_BQD, axis=-1, keepdims=True).clip(1e-12)
    return ((unit_BQD.sum(1) ** 2).sum(-1) - num_interests) / (num_interests * (num_interests - 1))


def _targets(
    interests_BQD: Floats,
    embeddings_ND: Floats,
    target_BT: Ints,
    is_candidate_N: NDArray[np.bool_],
    boost_BT: Floats,
) -> Targets:
    embeddings_BDT = embeddings_ND[target_BT].astype(np.float32).transpose(0, 2, 1)
    scores_BQT = interests_BQD @ embeddings_BDT
    if not np.isfinite(scores_BQT).all():
        raise ValueError(
            f"{np.isnan(interests_BQD).any((1, 2)).sum()} of {len(interests_BQD)} users have interests that are not "
            "numbers, or the embedding of a target is not finite; every rank would be 1. Read the training log."
        )
    rounding_BT = ROUNDING * (np.abs(interests_BQD) @ np.abs(embeddings_BDT)).max(1)
    is_target_BT, is_candidate_BT = target_BT >= 0, is_candidate_N[target_BT]
    position_BT = np.searchsorted(np.flatnonzero(is_candidate_N), target_BT)
    score_BT = np.where(is_candidate_BT, scores_BQT.max(1), -np.inf)
    score_BT, rounding_BT = score_BT + boost_BT, rounding_BT + ROUNDING * np.abs(boost_BT)
    winner_BT = np.where(is_target_BT, scores_BQT.argmax(1), -1)
    return Targets(
        is_target_BT, is_candidate_BT, position_BT, score_BT - rounding_BT, score_BT + rounding_BT, winner_BT
    )


def _pairs(seen: Sequence[Ints], num_items: int) -> Ints:
    """Return each distinct pair of a user and an item as one number, `user * N + item`, sorted."""
    user_X = np.repeat(np.arange(len(seen)), [len(items) for items in seen])
    pair_X = np.sort(user_X * num_items + np.concatenate(seen))
    return pair_X[np.diff(pair_X, prepend=-1) > 0]  # `np.unique` and `np.isin` hash or sort again: 20 times slower


def _own_boosts(pair_X: Ints, own: Sequence[Own] | None, num_items: int) -> Floats:
    """Return the boost of each pair of a user and a known item, `boost_X`."""
    boost_X = np.zeros(len(pair_X), dtype=np.float32)
    for user, (items_T, boost_T) in enumerate(own or ()):
        boost_X[np.searchsorted(pair_X, user * num_items + items_T)] = boost_T
    return boost_X


def _seen(pair_X: Ints, boost_X: Floats, is_candidate_N: NDArray[np.bool_]) -> Seen:
    """Return the pairs of a candidate item, by its position."""
    user_X, item_X = np.divmod(pair_X, len(is_candidate_N))
    is_candidate_X = is_candidate_N[item_X]
    position_X = np.searchsorted(np.flatnonzero(is_candidate_N), item_X[is_candidate_X])
    return Seen(user_X[is_candidate_X], position_X, boost_X[is_candidate_X])


def _find(target_BT: Ints, pair_X: Ints, num_items: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the index of each target among the pairs of a user and a known item, and whether it is there."""
    pair_BT = np.arange(len(target_BT))[:, None] * num_items + target_BT
    index_BT = np.searchsorted(pair_X, pair_BT)
    return index_BT, np.append(pair_X, -1)[index_BT] == pair_BT


def _count_above(scores_BM: Floats, start: int, targets: Targets) -> Ints:
    """Count the items above each target in the block of items that begins at position `start`."""
    offset_BT = np.clip(targets.position_BT - start, 0, scores_BM.shape[1])
    is_here_BT = targets.is_candidate_BT & (offset_BT == targets.position_BT - start) & (offset_BT < scores_BM.shape[1])
    above_BT, user_A = np.zeros_like(offset_BT), np.nonzero(targets.is_target_BT)[0]
    columns = (offset_BT, is_here_BT, targets.low_BT, targets.high_BT)
    rows = zip(user_A, *(values_BT[targets.is_target_BT].tolist() for values_BT in columns), strict=True)
    above_BT[targets.is_target_BT] = [
        num_above(scores_BM[b], offset, is_here, low, high) for b, offset, is_here, low, high in rows
    ]
    return above_BT


def _count_seen_above(scores_BM: Floats, start: int, targets: Targets, seen: Seen) -> Ints:
    """Count the items above each target in the same block that are known items of the user."""
    is_here_X = (seen.position_X >= start) & (seen.position_X < start + scores_BM.shape[1])
    user_X, position_X1 = seen.user_X[is_here_X], seen.position_X[is_here_X, None]
    scores_X1 = scores_BM[user_X[:, None], position_X1 - start]
    is_before_XT = position_X1 < targets.position_BT[user_X]
    is_above_XT = np.where(is_before_XT, scores_X1 >= targets.low_BT[user_X], scores_X1 > targets.high_BT[user_X])
    above_BT = np.zeros_like(targets.position_BT)
    np.add.at(above_BT, user_X, is_above_XT)
    return above_BT
