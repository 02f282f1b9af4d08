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

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from redrec.bundle.reader import Bundle
from redrec.history import History, now_ms
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.search import AsyncItemIndex, IndexUnavailableError
from redrec.model.session import TowerError
from serving.batching import Batching
from serving.config import ServingConfig
from serving.histories import HistoryReader, encode_columns, event_columns
from serving.index import ServerIndex
from serving.interests import Interests, KnownUser, QueriedUser
from serving.lists import FALLBACK, Answer, Item, Lists
from serving.metrics import bundle_gauge, timed, timed_each
from serving.outage import Outage
from serving.requests import Query
from serving.shedding import Waiting
from serving.stages import StageError, together, within
from serving.workers import MAX_ON_LOOP, MEDOIDS, TOWER, WARM_UP_RUNS, Workers

TOWER_FAILED = "tower_failed"  # with TOWER_TIMEOUT, a reason to query with medoids


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
        self.batching = Batching(self._answers, waiting, MAX_ON_LOOP)
        self.catalog = Catalog(bundle.items, bundle.item_index)
        self.interests = Interests(bundle, self.catalog, histories.features)
        self.lists = Lists(bundle, self.catalog, config)
        self.server = None if config.milvus is None else ServerIndex(bundle, config.milvus)
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
        scenario = manifest.scenarios[0]
        events_L = np.zeros(self.bundle.history_config.max_length(len(manifest.scenarios)), dtype=np.int64)
        history = History(np.arange(len(events_L)) % len(self.bundle.item_ids), events_L, events_L, events_L)
        query = Query(user_id="warm-up", scenario=scenario, k=1)
        (user,) = self._users(TOWER, [KnownUser(query, history, ItemFilter(scenario))])
        if self.server is None:
            self.lists.from_process([user])
        return user

    async def close(self) -> None:
        bundle_gauge(self.bundle.manifest).dec()
        self.workers.close()
        self.lists.recall.close()
        if self.client is not None:
            await self.client.close()

    async def answer(self, query: Query) -> Answer:
        """Return up to `query.k` items.

        Raises:
            BundleMismatchError: The index holds another bundle's rows.
        """
        (answer,) = await self.answers([query])
        return answer

    async def answers(self, queries: Sequence[Query]) -> list[Answer]:
        """Return what `answer` returns for each query.

        Raises:
            BundleMismatchError: The index holds another bundle's rows.
        """
        answers = self.batching.answers if self.workers.is_quick(len(queries)) else self._answers
        return await answers(queries)

    async def _answers(self, queries: Sequence[Query]) -> list[Answer]:
        """Return the answers of a batch: one read gets all histories, one run of the tower all interests."""
        moment_ms = self.catalog.moment(self.clock())
        with timed_each(scenarios_of(queries), "history"):
            histories = await self._histories(queries)
        every = [self._known_user(*pair, moment_ms) for pair in zip(queries, histories, strict=True)]
        known = [one for one in every if isinstance(one, KnownUser)]
        answered = iter(await self._of_histories(known) if known else ())
        return [next(answered) if isinstance(one, KnownUser) else one for one in every]

    async def _of_histories(self, known: Sequence[KnownUser]) -> list[Answer]:
        """Return the tower's answers, or those of medoids; if they fail too, the reason is still the tower's."""
        try:
            return await self._by_tower(known)
        except StageError as stage:
            reason = str(stage)
        try:
            answers = await self._by(MEDOIDS, known)
        except StageError:
            return self._fallbacks(known, reason)
        sources = [answer.source if answer.source == FALLBACK else "medoid" for answer in answers]
        pairs = zip(answers, sources, strict=True)
        return [answer._replace(source=source, reason=reason) for answer, source in pairs]

    async def _by_tower(self, known: Sequence[KnownUser]) -> list[Answer]:
        try:
            answers = await self._by(TOWER, known)
        except TowerError as error:
            self.tower_outage.failed(error)
            raise StageError(TOWER_FAILED) from error
        self.tower_outage.answered()
        return answers

    async def _by(self, stage: str, known: Sequence[KnownUser]) -> list[Answer]:
        """Return the answers for the users as the stage sees them; without a server all is done at once.

        Raises:
            StageError: The stage failed. (Where the search does, the answers are popular items.)
        """
        if self.client is None:
            lists = await self.workers.run(stage, len(known), self._in_process, stage, known)
            return [Answer(items, "model", None) for items in lists]
        with timed_each(scenarios_of(one.query for one in known), stage):
            users = await self.workers.run(stage, len(known), self._users, stage, known)
        groups: dict[tuple[ItemFilter, int], list[int]] = defaultdict(list)  # each is one search
        for position, user in enumerate(users):
            groups[user.known.item_filter, self.lists.num_searched(user)].append(position)
        results = await together([self._searched([*map(users.__getitem__, group)]) for group in groups.values()])
        positions, answers = chain.from_iterable(groups.values()), chain.from_iterable(results)
        answer_of = dict(zip(positions, answers, strict=True))
        return [answer_of[position] for position in range(len(users))]

    def _users(self, stage: str, known: Sequence[KnownUser]) -> list[QueriedUser]:
        return self.interests.of(stage, known, self.clock())

    def _in_process(self, stage: str, known: Sequence[KnownUser]) -> list[list[Item]]:
        scenarios = scenarios_of(one.query for one in known)
        with timed_each(scenarios, stage):
            users = self._users(stage, known)
        with timed_each(scenarios, "search"):
            return self.lists.from_process(users)

    async def _searched(self, users: Sequence[QueriedUser]) -> list[Answer]:
        """Return the result of the index; if a server fails and the catalog is small enough, that of exact search."""
        assert self.client is not None
        with timed(users[0].known.query.scenario, "search"):
            try:
                return [Answer(items, "model", None) for items in await self._from_server(self.client, users)]
            except StageError as failed:
                reason = str(failed)
            if self.lists.embedded is None:
                return self._fallbacks([user.known for user in users], reason)
            lists = await self.workers.on_thread(users[0].stage, self.lists.from_process, users)
            return [Answer(items, "exact", reason) for items in lists]

    async def _histories(self, queries: Sequence[Query]) -> list[History | str]:
        """Return each query's history, inline or of the feature store, or why it has no known event."""
        users = [query.user_id for query in queries if query.history is None]
        stored = iter(await self._read(users) if users else ())
        columns = [next(stored) if query.history is None else event_columns(query.history) for query in queries]
        return [one if isinstance(one, str) else self._encoded(one) for one in columns]

    def _encoded(self, columns: Mapping[str, Any]) -> History | str:
        history = encode_columns(columns, self.bundle)
        return history if len(history.item_L) else "no_known_events"

    async def _read(self, user_ids: Sequence[str]) -> list[Mapping[str, Any] | str]:
        """Return the users' events, or why there are none."""
        if self.histories.source is None:
            return ["unknown_user"] * len(user_ids)
        try:
            # OSError: the store is not available; any other error is our own mistake
            with self.store_outage.call(OSError, "features_unavailable"):
                read = self.histories.read(user_ids, self.waiting)
                columns = await within(read, self.config.features_budget_ms, "features_timeout")
        except StageError as failed:
            return [str(failed)] * len(user_ids)
        return ["unknown_user" if one is None else one for one in columns]

    def _known_user(self, query: Query, history: History | str, moment_ms: int | None) -> KnownUser | Answer:
        """Return the query with its history; without one the answer."""
        item_filter = ItemFilter(scenario=query.scenario, category=query.category, moment_ms=moment_ms)
        if isinstance(history, str):
            return self.lists.fallback(query, item_filter, history)
        if self._excludes_seen(query):
            seen = np.unique(history.item_L)
            item_filter = item_filter._replace(exclude_ids=tuple(self.bundle.item_ids[i] for i in seen))
        return KnownUser(query, history, item_filter)

    def _excludes_seen(self, query: Query) -> bool:
        manifest = self.bundle.manifest
        is_default: bool = manifest.boosts[manifest.scenarios.index(query.scenario)].excludes_seen
        return is_default if query.exclude_seen is None else query.exclude_seen

    async def _from_server(self, client: AsyncItemIndex, users: Sequence[QueriedUser]) -> list[list[Item]]:
        """Return the lists of users with the same filter, by one search for the interests of all."""
        first, interests = users[0], [user.query.interests_QD for user in users]
        options = self.lists.num_searched(first), first.known.item_filter
        with (
            self.index_outage.call(IndexUnavailableError, "index_unavailable"),
            self.waiting.elsewhere(len(users)),
        ):
            search = client.search(np.concatenate(interests), *options)
            result = await within(search, self.config.search_budget_ms, "index_timeout")
        ends = np.cumsum([len(interests_QD) for interests_QD in interests])[:-1]
        results = list(zip(*(np.split(values, ends) for values in result), strict=True))
        for interests_QD, (_, items_QK) in zip(interests, results, strict=True):
            self.lists.recall.offer(interests_QD, items_QK, *options)
        lists: list[list[Item]] = await self.workers.run(first.stage, len(users), self.lists.of_results, results, users)
        return lists

    def _fallbacks(self, known: Sequence[KnownUser], reason: str) -> list[Answer]:
        return [self.lists.fallback(one.query, one.item_filter, reason) for one in known]


def scenarios_of(queries: Iterable[Query]) -> list[str]:
    return [query.scenario for query in queries]
