"""Contenders: the best items of a user in the order in which they are served, and the ranks of targets among them.

Only a user's best `num_contenders` items are ordered by the ranker; below them the order is that of the boosted search.

Shapes: U users, B of them in a product, T targets or own items of a user, Q interests, D embedding, N items, M of them
in a product, K results.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories
from redrec.evaluation.cases import Case
from redrec.evaluation.scorers import Scorer
from redrec.history import History, Ints
from redrec.index.exact import ITEMS_PER_PRODUCT, NO_ITEM, USERS_PER_PRODUCT, best_scores, top_k
from redrec.index.merge import Merged, merge_max
from redrec.index.ranker import RankedQuery, Ranker
from redrec.model.boosts import LEFT_OUT, NOTHING, Own


def with_ranker(scorer: Scorer, ranker: Ranker) -> Scorer:
    """Return the scorer with a ranker, as in serving."""
    return scorer._replace(ranker=ranker if ranker.num_contenders else None)


def best_items(
    scorer: Scorer, queries: Sequence[RankedQuery], is_candidate_N: NDArray[np.bool_], k: int
) -> list[Merged]:
    """Return each query's k best items, as they are served, without the interests that score them best."""
    ranker, embeddings_ND = scorer.ranker, scorer.embeddings_ND
    if ranker is None:
        return contenders(scorer, queries, is_candidate_N, k)
    best = contenders(scorer, queries, is_candidate_N, max(k, ranker.num_contenders))
    return [
        ranker.ranked(of_query, query, popular_boosts(scorer, query)[of_query.items_K], embeddings_ND).of(slice(k))
        for query, of_query in zip(queries, best, strict=True)
    ]


def popular_boosts(scorer: Scorer, query: RankedQuery) -> NDArray[np.float32]:
    """Return the popularity boost of each item, `boost_N`."""
    if scorer.boosts is None:
        return np.zeros(len(scorer.embeddings_ND), np.float32)
    return scorer.boosts.popular(query.scenario, query.moment_ms)


def queries_of(scorer: Scorer, histories: Histories, cases: Sequence[Case], scenario: int) -> list[RankedQuery]:
    """Return what the scorer makes of each case's known events, in the order of the cases."""
    if not cases:
        return []
    known = [case.known(histories) for case in cases]
    return queries_with(scorer, known, scenario, np.array([case.moment_ms for case in cases]))


def queries_with(scorer: Scorer, histories: Sequence[History], scenario: int, moment_ms_U: Ints) -> list[RankedQuery]:
    """Return what the scorer makes of each history at its moment."""
    interests_UQD = scorer.interests_of(histories, scenario, moment_ms_U)
    of_user = zip(interests_UQD, histories, moment_ms_U.tolist(), strict=True)
    return [RankedQuery(interests_QD, history, scenario, ms) for interests_QD, history, ms in of_user]


def contenders(
    scorer: Scorer, queries: Sequence[RankedQuery], is_candidate_N: NDArray[np.bool_], k: int
) -> list[Merged]:
    """Return each query's k best items before they are ranked; a block of the catalog is read once for all queries."""
    if not queries:
        return []
    candidates, boosts = np.flatnonzero(is_candidate_N), scorer.boosts
    own = [NOTHING if boosts is None else boosts.own(query) for query in queries]
    interests_UQD = np.stack([query.interests_QD for query in queries]).astype(np.float32)
    user_slices = [slice(u, u + USERS_PER_PRODUCT) for u in range(0, len(queries), USERS_PER_PRODUCT)]
    scores_UK, items_UK = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    scratch = np.empty((2, USERS_PER_PRODUCT, min(ITEMS_PER_PRODUCT, len(candidates))), dtype=np.float32)
    for start in range(0, len(candidates), ITEMS_PER_PRODUCT):
        items_M, kept = candidates[start : start + ITEMS_PER_PRODUCT], []
        embeddings_DM = np.ascontiguousarray(scorer.embeddings_ND[items_M].T, dtype=np.float32)
        for users in user_slices:
            scores_BM = best_scores(interests_UQD[users], embeddings_DM, scratch)
            _add_boosts(scores_BM, scorer, queries[users], own[users], items_M)
            items_BM = np.broadcast_to(items_M, scores_BM.shape)
            both = np.hstack([scores_UK[users], scores_BM]), np.hstack([items_UK[users], items_BM])
            kept.append(top_k(*both, k))
        scores_UK, items_UK = (np.concatenate(values) for values in zip(*kept, strict=True))
    items_UK = np.where(scores_UK > LEFT_OUT / 2, items_UK, NO_ITEM)
    return [merge_max(scores_K[None], items_K[None], k) for scores_K, items_K in zip(scores_UK, items_UK, strict=True)]


def _add_boosts(
    scores_BM: NDArray[np.floating],
    scorer: Scorer,
    queries: Sequence[RankedQuery],
    own: Sequence[Own],
    items_M: Ints,
) -> None:
    """Add each query's boosts to the scores of a block of items, which are sorted."""
    for score_M, query, (items_T, boost_T) in zip(scores_BM, queries, own, strict=True):
        score_M += popular_boosts(scorer, query)[items_M]
        at_T = np.searchsorted(items_M, items_T)
        is_here_T = np.append(items_M, NO_ITEM)[at_T] == items_T
        score_M[at_T[is_here_T]] += boost_T[is_here_T]


def reranked(
    scorer: Scorer,
    queries: Sequence[RankedQuery],
    rank_BT: Ints,
    rank_unseen_BT: Ints,
    target_BT: Ints,
    seen: Sequence[Ints],
    is_candidate_N: NDArray[np.bool_],
) -> tuple[Ints, Ints]:
    """Return `rank_BT` and `rank_unseen_BT` with the ranker's order of each user's contenders."""
    assert scorer.ranker is not None
    rank_BT, rank_unseen_BT = rank_BT.copy(), rank_unseen_BT.copy()
    for b, best in enumerate(best_items(scorer, queries, is_candidate_N, scorer.ranker.num_contenders)):
        items_K = best.items_K
        num_unseen_K = np.cumsum(~np.isin(items_K, seen[b]))
        for t, k in np.argwhere(target_BT[b][:, None] == items_K):
            rank_BT[b, t] = 1 + k
            rank_unseen_BT[b, t] = num_unseen_K[k] * (rank_unseen_BT[b, t] > 0)
    return rank_BT, rank_unseen_BT
