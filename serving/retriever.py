"""Retriever: a query in, items with their source out; it fails only if the index belongs to another bundle.

Stages: history -> event vectors -> user tower (ONNX Runtime) -> one search for all interests, with boosts
(`redrec.index.boosted`) -> merge by the bundle's policy -> ranker (`redrec.index.ranker`). Each stage has a time budget
and runs where `serving.workers` says. The bundle's embeddings are searched in process, or its collection on a Milvus
server. What may fail, and where the answer then comes from; its reason names the first stage that failed:

- The server exceeds its budget or is not available: exact search in process (source `exact`).
- The tower exceeds its budget or fails: a search with medoids of the history (`redrec.index.medoids`) instead of
  interests, without the ranker (source `medoid`). It runs on a thread of its own, and does not wait behind the towers.
- There is no history, or the above fails too, as where the catalog is too large for exact search: the scenario's
  popular items (source `fallback`).

No answer names an item outside its availability window at the moment of the query: each of these ways takes its items
by the same filter.

Shapes: Q interests, N items, D embedding, K results.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.bundle.reader import Bundle
from redrec.history import History, now_ms, tower_inputs
from redrec.index.boosted import Boosted
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.medoids import POPULARITY, medoids
from redrec.index.merge import MERGES, Merged
from redrec.index.popularity_boost import PopularItems
from redrec.index.ranker import RankedQuery
from redrec.index.search import AsyncItemIndex, IndexUnavailableError, SearchResult
from redrec.index.shortfall import completed
from redrec.model.session import TowerError, open_tower
from serving.config import ServingConfig
from serving.explanations import Explanation, explanations
from serving.histories import HistoryReader, encode_columns, event_columns
from serving.index import ServerIndex, open_embedded
from serving.live_recall import LiveRecall
from serving.metrics import bundle_gauge, timed
from serving.outage import Outage
from serving.popularity_boost import popular_items, read_lifts
from serving.requests import Query
from serving.shedding import Waiting
from serving.stages import StageError, within
from serving.tracing import in_context
from serving.workers import MEDOIDS, TOWER, TOWER_TIMEOUT, WARM_UP_RUNS, Workers

TOWER_FAILED = "tower_failed"  # with TOWER_TIMEOUT, a reason to query with medoids


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


class QueriedUser(NamedTuple):
    """What the tower, or medoids in its place, make of a query."""

    stage: str  # that made it
    query: RankedQuery
    boosted: Boosted
    explains: bool

    @property
    def has_tower(self) -> bool:
        return self.stage == TOWER


class Retriever:
    """One bundle, ready for queries between `start` and `close`; both run on the serving event loop.

    Whoever made `histories` closes it: another bundle's retriever may read it too. `clock` counts milliseconds since
    1970.
    """

    def __init__(
        self,
        bundle: Bundle,
        config: ServingConfig,
        histories: HistoryReader,
        waiting: Waiting,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        histories.check(bundle)
        self.clock = clock
        self.bundle, self.config, self.histories, self.waiting = bundle, config, histories, waiting
        self.workers = Workers(config, waiting.turn)
        self.tower = open_tower(bundle.folder.tower)
        self.catalog = Catalog(bundle.items, bundle.item_index)
        self.merge = MERGES[bundle.manifest.index.config.policy]
        self.titles = bundle.items["title"].to_pylist()
        lifts = read_lifts(histories.features, bundle, self.catalog)
        self.popular, self.popular_of_medoids = popular_items(lifts, bundle), popular_items(lifts, bundle, POPULARITY)
        self.embedded = open_embedded(bundle, self.catalog, config)
        self.server = None if config.milvus is None else ServerIndex(bundle, config.milvus)
        self.recall = LiveRecall(self.catalog, bundle.embeddings_ND, config.recall_share)
        self.store_outage, self.tower_outage, self.index_outage = map(Outage, ("feature store", "user tower", "index"))
        self.client: AsyncItemIndex | None = None  # of the server, from `start` to `close`
        bundle_gauge(bundle.manifest).inc()

    async def start(self) -> None:
        """Connect on this event loop and warm up."""
        user = await self.workers.warm_up(self._longest_query)
        if self.server is not None:
            self.client = self.server.connect()
            for _ in range(WARM_UP_RUNS):
                await self.client.search(user.query.interests_QD, 1, ItemFilter())

    def _longest_query(self) -> QueriedUser:
        """Answer, up to the server, a query with as many events as enter."""
        manifest = self.bundle.manifest
        events_L = np.zeros(self.bundle.history_config.max_length(len(manifest.scenarios)), dtype=np.int64)
        history = History(np.arange(len(events_L)) % len(self.bundle.item_ids), events_L, events_L, events_L)
        user = self._user(TOWER, history, manifest.scenarios[0], explains=False)
        if self.server is None:
            self._from_process(user, 1, ItemFilter(manifest.scenarios[0]))
        return user

    async def close(self) -> None:
        bundle_gauge(self.bundle.manifest).dec()
        self.workers.close()
        self.recall.close()
        if self.client is not None:
            await self.client.close()

    async def answer(self, query: Query) -> Answer:
        """Return up to `query.k` items.

        Raises:
            BundleMismatchError: The index holds another bundle's rows.
        """
        moment_ms = self.catalog.moment(self.clock())
        item_filter = ItemFilter(scenario=query.scenario, category=query.category, moment_ms=moment_ms)
        try:
            with timed(query.scenario, "history"):
                history = await self._history(query)
            if self._excludes_seen(query):
                seen = np.unique(history.item_L)
                item_filter = item_filter._replace(exclude_ids=tuple(self.bundle.item_ids[i] for i in seen))
            return await self._of_history(history, query, item_filter)
        except StageError as stage:
            return self._fallback(query, item_filter, str(stage))

    async def _of_history(self, history: History, query: Query, item_filter: ItemFilter) -> Answer:
        """Return the tower's answer, or that of medoids; if they fail too, the reason is still the tower's."""
        try:
            return await self._by_tower(history, query, item_filter)
        except StageError as stage:
            if str(stage) not in (TOWER_TIMEOUT, TOWER_FAILED):
                raise
            try:
                answer = await self._by(MEDOIDS, history, query, item_filter)
            except StageError:
                raise stage from None
            return answer._replace(source="medoid", reason=str(stage))

    async def _by_tower(self, history: History, query: Query, item_filter: ItemFilter) -> Answer:
        try:
            answer = await self._by(TOWER, history, query, item_filter)
        except TowerError as error:
            self.tower_outage.failed(error)
            raise StageError(TOWER_FAILED) from error
        self.tower_outage.answered()
        return answer

    async def _by(self, stage: str, history: History, query: Query, item_filter: ItemFilter) -> Answer:
        """Return the answer for the user as the stage sees it; without a server all is done at once."""
        if self.client is None:
            items = await self.workers.run(stage, self._in_process, stage, history, query, item_filter)
            return Answer(items, "model", None)
        with timed(query.scenario, stage):
            user = await self.workers.run(stage, self._user, stage, history, query.scenario, query.explain)
        with timed(query.scenario, "search"):
            return await self._searched(user, query.k, item_filter)

    def _in_process(self, stage: str, history: History, query: Query, item_filter: ItemFilter) -> list[Item]:
        with timed(query.scenario, stage):
            user = self._user(stage, history, query.scenario, query.explain)
        with timed(query.scenario, "search"):
            return self._from_process(user, query.k, item_filter)

    async def _searched(self, user: QueriedUser, k: int, item_filter: ItemFilter) -> Answer:
        """Return the result of the index; if a server fails and the catalog is small enough, that of exact search."""
        assert self.client is not None
        try:
            return Answer(await self._from_server(self.client, user, k, item_filter), "model", None)
        except StageError as failed:
            if self.embedded is None:
                raise
            items = await self.workers.on_thread(user.stage, self._from_process, user, k, item_filter)
            return Answer(items, "exact", str(failed))

    async def _history(self, query: Query) -> History:
        """Return the inline history, or that of the feature store; raise StageError if it has no known event."""
        if query.history is not None:
            columns = event_columns(query.history)
        elif self.histories.source is None:
            raise StageError("unknown_user")
        else:
            columns = await self._read(query.user_id)
        history = encode_columns(columns, self.bundle)
        if len(history.item_L) == 0:
            raise StageError("no_known_events")
        return history

    def _excludes_seen(self, query: Query) -> bool:
        manifest = self.bundle.manifest
        is_default: bool = manifest.boosts[manifest.scenarios.index(query.scenario)].excludes_seen
        return is_default if query.exclude_seen is None else query.exclude_seen

    async def _read(self, user_id: str) -> Any:
        # OSError: the store is not available; any other error is our own mistake
        with self.store_outage.call(OSError, "features_unavailable"), self.waiting.elsewhere():
            read = in_context(self.histories.thread, self.histories.read, user_id)
            columns = await within(read, self.config.features_budget_ms, "features_timeout")
        if columns is None:
            raise StageError("unknown_user")
        return columns

    def _interests(self, history: History, scenario: int, moment_ms: int) -> NDArray[np.float32]:
        """Return `interests_QD` of one user."""
        bundle = self.bundle
        inputs = tower_inputs([history], [scenario], [moment_ms], bundle.vectors_NE, bundle.history_config)
        return self.tower(inputs)[0]

    def _medoids(self, history: History, scenario: int, moment_ms: int) -> NDArray[np.float32]:
        """Return the embeddings of the medoids of one user's history, in place of `interests_QD`."""
        embeddings_ND = self.bundle.embeddings_ND
        return embeddings_ND[medoids(history, scenario, embeddings_ND, moment_ms)].astype(np.float32)

    def _user(self, stage: str, history: History, scenario: str, explains: bool) -> QueriedUser:
        number, moment_ms = self.bundle.manifest.scenarios.index(scenario), self.clock()
        is_of_tower = stage == TOWER
        interests_QD = (self._interests if is_of_tower else self._medoids)(history, number, moment_ms)
        query = RankedQuery.of(interests_QD, history, number, moment_ms)
        popular = self.popular if is_of_tower else self.popular_of_medoids
        return QueriedUser(stage, query, self._boosts(query, popular), explains)

    def _boosts(self, query: RankedQuery, popular: Mapping[str, PopularItems]) -> Boosted:
        manifest = self.bundle.manifest
        weights, logit_scale = manifest.boosts[query.scenario], manifest.logit_scale
        own = query.own.boosts(weights, logit_scale)
        return Boosted(popular.get(manifest.scenarios[query.scenario]), own)

    async def _from_server(
        self, client: AsyncItemIndex, user: QueriedUser, k: int, item_filter: ItemFilter
    ) -> list[Item]:
        with self.index_outage.call(IndexUnavailableError, "index_unavailable"), self.waiting.elsewhere():
            search = client.search(user.query.interests_QD, self._num_searched(user, k), item_filter)
            result = await within(search, self.config.search_budget_ms, "index_timeout")
        self.recall.offer(user.query.interests_QD, result[1], self._num_searched(user, k), item_filter)
        items: list[Item] = await self.workers.run(user.stage, self._boosted, result, user, k, item_filter)
        return items

    def _num_searched(self, user: QueriedUser, k: int) -> int:
        return max(k, self.bundle.ranker.num_contenders) if user.has_tower else k

    def _boosted(self, result: SearchResult, user: QueriedUser, k: int, item_filter: ItemFilter) -> list[Item]:
        """Return what a search by cosine found, made whole, with the request's boosts, in the ranker's order."""
        interests_QD, num_searched = user.query.interests_QD, self._num_searched(user, k)
        among = interests_QD, num_searched, item_filter, self.catalog, self.bundle.embeddings_ND
        result = user.boosted.add_to(completed(result, *among), *among)
        return self._ranked(self.merge(*result, num_searched), user, k)

    def _from_process(self, user: QueriedUser, k: int, item_filter: ItemFilter) -> list[Item]:
        assert self.embedded is not None
        num_searched = self._num_searched(user, k)
        result = self.embedded.search(user.query.interests_QD, num_searched, item_filter, user.boosted)
        if not self.embedded.is_exact:
            self.recall.offer(user.query.interests_QD, result[1], num_searched, item_filter, user.boosted)
        return self._ranked(self.merge(*result, num_searched), user, k)

    def _ranked(self, searched: Merged, user: QueriedUser, k: int) -> list[Item]:
        best, ranker = searched, self.bundle.ranker
        if ranker.num_contenders and user.has_tower:
            with timed(self.bundle.manifest.scenarios[user.query.scenario], "rank"):
                popular_C = user.boosted.popular_of(searched.items_K)
                best = ranker.ranked(searched, user.query, popular_C, self.bundle.embeddings_ND)
        best = best.of(slice(k))
        rows = zip(best.items_K.tolist(), best.scores_K.tolist(), best.interests_K.tolist(), strict=True)
        items = [Item(self.bundle.item_ids[i], self.titles[i], score, interest) for i, score, interest in rows]
        if not user.explains:
            return items
        explained = explanations(best, searched, user.query, user.boosted, self.bundle)
        return [item._replace(explanation=one) for item, one in zip(items, explained, strict=True)]

    def _fallback(self, query: Query, item_filter: ItemFilter, reason: str) -> Answer:
        """Return the popular items, and where fewer than k of them are allowed, others in the catalog's order."""
        popular = [self.bundle.item_index[item] for item in self.bundle.fallback[query.scenario]]
        is_allowed_N = self.catalog.is_allowed(item_filter)
        allowed = [i for i in popular if is_allowed_N[i]][: query.k]
        if len(allowed) < query.k:
            is_allowed_N[allowed] = False
            allowed += np.flatnonzero(is_allowed_N)[: query.k - len(allowed)].tolist()
        items = [Item(self.bundle.item_ids[i], self.titles[i], None, None) for i in allowed]
        return Answer(items, "fallback", reason)
