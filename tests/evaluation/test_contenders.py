"""Contenders: found as a full sort finds them, and ranked in evaluation as in a list that is shown."""

import numpy as np
import pytest

from redrec.data.histories import TEST, Histories
from redrec.evaluation import contenders as module
from redrec.evaluation.cases import cases_of
from redrec.evaluation.contenders import best_items, contenders, queries_of, with_ranker
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, with_boosts
from redrec.index.ranker import RankedQuery
from redrec.model.boosts import BoostWeights
from tests.bundles import random_ranker
from tests.evaluation.planted import ALLOWED, NUM_ITEMS, random_scorer, repeating_log

NUM_CONTENDERS = 30
ALLOWED_N = ALLOWED[0] & (np.arange(NUM_ITEMS) % 9 != 4)
WEIGHTS = BoostWeights(popularity=2.0, own=(0, 0, 3.0, 0, 0, 0))


@pytest.fixture(scope="module")
def histories(tmp_path_factory) -> Histories:
    return Histories(repeating_log(tmp_path_factory.mktemp("log"), is_planted=True))


@pytest.fixture(scope="module")
def boosted(histories: Histories) -> Scorer:
    return with_boosts(random_scorer(), Popularity(histories, ALLOWED), [WEIGHTS], 10.0)


def all_queries(histories: Histories, scorer: Scorer) -> list[RankedQuery]:
    return queries_of(scorer, histories, cases_of(histories, 0, TEST, num_targets=3, max_users=1000, seed=0), 0)


def all_scores(scorer: Scorer, query: RankedQuery) -> np.ndarray:
    """Every item's boosted score a second way, as it is compared: to five decimals."""
    assert scorer.boosts
    cosine_N = (query.interests_QD @ scorer.embeddings_ND.T).max(0)
    scores_N = cosine_N + scorer.boosts.of_all(query)
    return np.where(ALLOWED_N, scores_N, -np.inf).round(5)


@pytest.mark.parametrize("items_per_block", [module.ITEMS_PER_PRODUCT, 7])
def test_the_contenders_are_the_best_of_a_full_sort(histories, boosted, monkeypatch, items_per_block):
    monkeypatch.setattr(module, "ITEMS_PER_PRODUCT", items_per_block)
    queries = all_queries(histories, boosted)
    assert len(queries) > module.USERS_PER_PRODUCT
    for query, best in zip(queries, contenders(boosted, queries, ALLOWED_N, NUM_CONTENDERS), strict=True):
        expected = np.argsort(-all_scores(boosted, query), kind="stable")[:NUM_CONTENDERS]
        assert best.items_K.tolist() == expected.tolist()


def test_a_target_ranks_where_the_ranked_list_shows_it_and_below_it_where_the_search_does(histories, boosted):
    ranker = random_ranker(NUM_ITEMS, 1, NUM_CONTENDERS)
    ranked, queries = with_ranker(boosted, ranker), all_queries(histories, boosted)
    cases = cases_of(histories, 0, TEST, num_targets=3, max_users=1000, seed=0)
    ranks, plain = (rank_cases(scorer, histories, cases, 0, ALLOWED_N) for scorer in (ranked, boosted))
    num_listed = num_below = 0
    for u, (case, query) in enumerate(zip(cases, queries, strict=True)):
        (searched,) = contenders(boosted, [query], ALLOWED_N, NUM_CONTENDERS)
        assert boosted.boosts
        popular_C = boosted.boosts.popular(0, query.moment_ms)[searched.items_K]
        listed = ranker.ranked(searched, query, popular_C, boosted.embeddings_ND).items_K.tolist()
        unseen = [item for item in listed if item not in query.history.item_L]
        for t, target in enumerate(case.target_T.tolist()):
            if target in listed:
                num_listed += 1
                assert ranks.rank_UT[u, t] == 1 + listed.index(target)
                assert ranks.rank_unseen_UT[u, t] == (1 + unseen.index(target) if target in unseen else 0)
            else:
                num_below += 1
                assert ranks.rank_UT[u, t] == plain.rank_UT[u, t]
                assert ranks.rank_unseen_UT[u, t] == plain.rank_unseen_UT[u, t]
    assert num_listed > 50
    assert num_below > 20
    assert (ranks.rank_UT != plain.rank_UT).any()


def test_a_list_longer_than_the_contenders_is_ranked_whole(histories, boosted):
    ranker = random_ranker(NUM_ITEMS, 1, num_contenders=5)
    queries = all_queries(histories, boosted)[:9]
    whole = with_ranker(boosted, ranker._replace(num_contenders=20))
    few = best_items(with_ranker(boosted, ranker), queries, ALLOWED_N, 20)
    for best, expected in zip(few, best_items(whole, queries, ALLOWED_N, 20), strict=True):
        assert best.items_K.tolist() == expected.items_K.tolist()


def test_a_ranker_without_contenders_is_none(boosted):
    assert with_ranker(boosted, random_ranker(NUM_ITEMS, 1, num_contenders=0)).ranker is None
