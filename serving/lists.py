"""Lists: the items of queried users, from the index in process or from what a server found, merged and ranked.

Shapes: N items, Q interests, D embedding, K results.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from redrec.bundle.reader import Bundle
from redrec.index.embedded import Search
from redrec.index.exact import SearchResult
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import MERGES, Merged
from redrec.index.shortfall import completed
from serving.config import ServingConfig
from serving.explanations import Explanation, explanations
from serving.index import open_embedded
from serving.interests import QueriedUser
from serving.live_recall import LiveRecall
from serving.metrics import timed
from serving.requests import Query

FALLBACK = "fallback"


class Item(NamedTuple):
    """One recommendation; `interest` is the number of the interest, or medoid, that found it.

    An item of a fallback has no score and no interest.
    """

    item_id: str
    title: str
    score: float | None
    interest: int | None
    explanation: Explanation | None = None  # only where a query asks for it


class Answer(NamedTuple):
    items: list[Item]
    source: str  # model, exact, medoid, fallback
    reason: str | None  # why the source is not `model`

    @property
    def is_of_model(self) -> bool:
        """Whether the towers and the ranker gave it."""
        return self.source in ("model", "exact")


class Lists:
    """Of one bundle; used from any thread."""

    def __init__(self, bundle: Bundle, catalog: Catalog, config: ServingConfig) -> None:
        self.bundle, self.catalog = bundle, catalog
        self.merge = MERGES[bundle.manifest.index.config.policy]
        self.titles = bundle.items["title"].to_pylist()
        self.embedded = open_embedded(bundle, catalog, config)
        self.embeddings_ND = bundle.embeddings_ND if self.embedded is None else self.embedded.embeddings_ND
        self.recall = LiveRecall(catalog, bundle.embeddings_ND, config.recall_share)

    def num_searched(self, user: QueriedUser) -> int:
        """Return how many items to search for each interest of the user."""
        k = user.known.query.k
        return max(k, self.bundle.ranker.num_contenders) if user.has_tower else k

    def of_results(self, results: Sequence[SearchResult], users: Sequence[QueriedUser]) -> list[list[Item]]:
        """Return each user's list, of what a server found by cosine."""
        return [self._of_result(*pair) for pair in zip(results, users, strict=True)]

    def _of_result(self, result: SearchResult, user: QueriedUser) -> list[Item]:
        """Return what a search by cosine found, made whole, with the request's boosts, in the ranker's order."""
        interests_QD, num_searched = user.query.interests_QD, self.num_searched(user)
        among = interests_QD, num_searched, user.known.item_filter, self.catalog, self.embeddings_ND
        result = user.boosted.add_to(completed(result, *among), *among)
        return self._ranked(self.merge(*result, num_searched), user)

    def from_process(self, users: Sequence[QueriedUser]) -> list[list[Item]]:
        """Return each user's list, of the index in process."""
        assert self.embedded is not None
        searches = [
            Search(user.query.interests_QD, self.num_searched(user), user.known.item_filter, user.boosted)
            for user in users
        ]
        lists = []
        for user, search, result in zip(users, searches, self.embedded.search_each(searches), strict=True):
            if not self.embedded.is_exact:
                self.recall.offer(search.queries_QD, result[1], *search[1:])
            lists.append(self._ranked(self.merge(*result, search.k), user))
        return lists

    def _ranked(self, searched: Merged, user: QueriedUser) -> list[Item]:
        best, ranker = searched, self.bundle.ranker
        if ranker.num_contenders and user.has_tower:
            with timed(user.known.query.scenario, "rank"):
                popular_C = user.boosted.popular_of(searched.items_K)
                best = ranker.ranked(searched, user.query, popular_C, self.embeddings_ND)
        best = best.of(slice(user.known.query.k))
        rows = zip(best.items_K.tolist(), best.scores_K.tolist(), best.interests_K.tolist(), strict=True)
        items = [Item(self.bundle.item_ids[i], self.titles[i], score, interest) for i, score, interest in rows]
        if not user.known.query.explain:
            return items
        explained = explanations(best, searched, user.query, user.boosted, self.bundle)
        return [item._replace(explanation=one) for item, one in zip(items, explained, strict=True)]

    def fallback(self, query: Query, item_filter: ItemFilter, reason: str) -> Answer:
        """Return the popular items, and where fewer than k of them are allowed, others in the catalog's order."""
        popular = [self.bundle.item_index[item] for item in self.bundle.fallback[query.scenario]]
        is_allowed_N = self.catalog.is_allowed(item_filter)
        allowed = [i for i in popular if is_allowed_N[i]][: query.k]
        if len(allowed) < query.k:
            is_allowed_N[allowed] = False
            allowed += np.flatnonzero(is_allowed_N)[: query.k - len(allowed)].tolist()
        items = [Item(self.bundle.item_ids[i], self.titles[i], None, None) for i in allowed]
        return Answer(items, FALLBACK, reason)
