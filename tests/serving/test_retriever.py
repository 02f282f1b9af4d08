"""The retriever on a real ONNX tower and a real index, in process or on a Milvus server, without a server around it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
import pytest

from feature_repo.forget import forget_features
from feature_repo.online import OnlineHistories
from redrec.bundle.reader import Bundle
from redrec.data.histories import Histories
from redrec.data.items import is_allowed
from redrec.data.person import Person
from redrec.evaluation.contenders import best_items, with_ranker
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.scorers import exported_towers, with_boosts
from redrec.folders import RunFolder
from redrec.history import MS_PER_HOUR
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import MERGES, Policy, merge_max
from redrec.index.milvus import BundleMismatchError, collection_name, connect
from redrec.index.ranker import RankedQuery
from redrec.model.boosts import BoostWeights
from redrec.model.session import open_tower
from serving.config import ServingConfig
from serving.histories import encode_columns, event_columns
from serving.lists import Answer
from serving.requests import Query
from serving.retriever import Retriever
from tests.bundles import numpy_interests, swap, tiny_run, tiny_tower, tower_weights
from tests.serving.conftest import Way
from tests.serving.retrieval import (
    IMPATIENT,
    PATIENT,
    QUERIED,
    SEEN,
    answers,
    exact_items,
    item_ids,
    medoid_items,
    query,
    stuck_tower,
)

OPENS, CLOSES = datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 5, 2, 12, tzinfo=UTC)
WINDOWS = [(None, None), (OPENS, None), (None, OPENS), (OPENS, CLOSES), (None, CLOSES)]
MS = timedelta(milliseconds=1)
MOMENTS = [round(moment.timestamp() * 1000) for moment in (OPENS - MS, OPENS, CLOSES - MS, CLOSES)]


@QUERIED
def test_the_answer_is_the_top_k_of_the_towers_interests(
    bundle: Bundle, way: Way, options: dict, item_filter: ItemFilter
):
    queried = query(**options)
    answer = answers(bundle, lambda retriever: retriever.answer(queried), way.config(bundle))
    assert (answer.source, answer.reason) == (way.source, None if way.source == "model" else "index_timeout")
    assert item_ids(answer) == exact_items(bundle, queried.scenario, queried.k, item_filter)


def test_an_item_names_its_title_and_its_best_interest(bundle: Bundle):
    best = answers(bundle, lambda retriever: retriever.answer(query())).items[0]
    exact = merge_max(*exact_search(numpy_interests(bundle, SEEN, "homefeed"), bundle.embeddings_ND, 48), 48)
    row = exact.items_K.tolist().index(bundle.item_index[best.item_id])
    assert best.title == bundle.items["title"][bundle.item_index[best.item_id]].as_py()
    assert (best.interest, best.score) == (exact.interests_K[row], pytest.approx(exact.scores_K[row], abs=1e-4))


@pytest.mark.parametrize("num_contenders", [0, 8])
@pytest.mark.parametrize("policy", ["round_robin", "quota"])
def test_the_interests_are_merged_by_the_bundles_policy(tmp_path: Path, way: Way, policy: Policy, num_contenders: int):
    """A ranker gets the contenders of the policy and orders them its own way."""
    bundle, queried = tiny_run(tmp_path, num_contenders=num_contenders, policy=policy), query("search", k=8)
    is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter("search"))
    exact = exact_search(numpy_interests(bundle, SEEN, "search"), bundle.embeddings_ND, 8, is_allowed_N)
    by_policy, by_max = ([bundle.item_ids[i] for i in MERGES[name](*exact, 8).items_K] for name in (policy, "max"))
    answered = item_ids(answers(bundle, lambda retriever: retriever.answer(queried), way.config(bundle)))
    assert set(answered) == set(by_policy) != set(by_max)
    assert (answered == by_policy) == (num_contenders == 0)


def test_a_user_without_known_events_gets_the_scenarios_popular_items(bundle: Bundle):
    answer = answers(bundle, lambda retriever: retriever.answer(query("ads", items=["not-in-this-catalog"], k=5)))
    assert (answer.source, answer.reason) == ("fallback", "no_known_events")
    assert item_ids(answer) == bundle.fallback["ads"][:5]


def test_a_user_without_history_and_without_features_is_unknown(bundle: Bundle):
    answer = answers(bundle, lambda retriever: retriever.answer(Query(user_id="u", scenario="ads", category="tools")))
    assert (answer.source, answer.reason) == ("fallback", "unknown_user")
    assert {bundle.items["category"][bundle.item_index[item]].as_py() for item in item_ids(answer)} == {"tools"}


class StoredHistories:
    """A history source over a dict; it may be slow or unavailable."""

    def __init__(self, users: dict[str, dict[str, list]], delay_s: float = 0, error: Exception | None = None):
        self.users, self.delay_s, self.error = users, delay_s, error

    def current(self) -> "StoredHistories":
        return self

    def read_many(self, user_ids: Sequence[str]) -> list[dict[str, list] | None]:
        time.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return [self.users.get(user_id) for user_id in user_ids]

    def read_at_once(self, user_ids: Sequence[str]) -> None:
        return None

    async def read_awaited(self, user_ids: Sequence[str]) -> None:
        return None

    async def close(self) -> None: ...


STORED = {"u": {"item_ids": SEEN, "actions": ["click"] * 3, "scenarios": ["homefeed"] * 3, "timestamps_ms": [1, 2, 3]}}


def test_a_stored_history_answers_as_the_same_history_inline(bundle: Bundle):
    stored = Query(user_id="u", scenario="homefeed")

    async def both(retriever: Retriever):
        return await retriever.answer(stored), await retriever.answer(query())

    from_store, inline = answers(bundle, both, source=StoredHistories(STORED))
    assert from_store == inline


class CountedHistories(StoredHistories):
    def __init__(self, users: dict[str, dict[str, list]]) -> None:
        super().__init__(users)
        self.reads: list[list[str]] = []

    def read_many(self, user_ids: Sequence[str]) -> list[dict[str, list] | None]:
        self.reads.append(list(user_ids))
        return super().read_many(user_ids)


MIXED = [
    query(),
    Query(user_id="u", scenario="homefeed"),
    Query(user_id="nobody", scenario="ads", k=3),
    query("ads", items=["not-in-this-catalog"]),
    query("search", k=40, exclude_seen=True),
    query("search", items=SEEN[:1], category="tools"),
    query("ads", explain=True),
    query("homefeed", items=SEEN[1:]),
]


def test_queries_of_one_request_are_answered_as_each_alone_by_one_read_and_as_few_searches(bundle: Bundle, way: Way):
    source = CountedHistories(STORED)

    async def together_and_alone(retriever: Retriever):
        searches, client = [], retriever.client
        if client is not None:
            search = client.search
            client.search = lambda *arguments: searches.append(arguments[1:]) or search(*arguments)  # type: ignore[method-assign]
        answered = await retriever.answers(MIXED)
        num_searches = len(searches)
        return answered, [await retriever.answer(one) for one in MIXED], num_searches

    answered, alone, num_searches = answers(bundle, together_and_alone, way.config(bundle), source)
    assert source.reads[0] == ["u", "nobody"] and source.reads[1:] == [["u"], ["nobody"]]
    assert num_searches in (0, 4)  # homefeed, ads, and search with either filter
    for one, other in zip(answered, alone, strict=True):
        assert (one.source, one.reason, item_ids(one)) == (other.source, other.reason, item_ids(other))
        assert [item.explanation is None for item in one.items] == [item.explanation is None for item in other.items]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (StoredHistories({}), "unknown_user"),
        (StoredHistories(STORED, delay_s=0.3), "features_timeout"),
        (StoredHistories(STORED, error=ConnectionError("away")), "features_unavailable"),
    ],
)
def test_without_a_stored_history_the_answer_is_a_marked_fallback(bundle: Bundle, source: StoredHistories, reason: str):
    config = PATIENT.model_copy(update={"features_budget_ms": 100})
    queried = Query(user_id="u", scenario="homefeed", k=3)
    answer = answers(bundle, lambda retriever: retriever.answer(queried), config, source)
    assert (answer.source, answer.reason, item_ids(answer)) == ("fallback", reason, bundle.fallback["homefeed"][:3])


def test_a_user_who_is_forgotten_is_unknown_to_the_next_answer_of_the_same_retriever(tmp_path: Path):
    """No history is cached: the embedded store is read at each request."""
    bundle, queried = tiny_run(tmp_path), Query(user_id="user-1", scenario="ads", k=3)

    async def before_and_after(retriever: Retriever):
        before = await retriever.answer(queried)
        forget_features(RunFolder(tmp_path).features, Person("user-1"))
        return (
            before,
            await retriever.answer(queried),
            await retriever.answer(queried.model_copy(update={"user_id": "user-11"})),
        )

    source = OnlineHistories(RunFolder(tmp_path).features)
    before, after, other = answers(bundle, before_and_after, source=source)
    assert (before.source, other.source) == ("model", "model")
    assert (after.source, after.reason, item_ids(after)) == ("fallback", "unknown_user", bundle.fallback["ads"][:3])


def test_the_feature_store_does_not_block_the_event_loop(bundle: Bundle):
    """While one user's history takes 0.3 s, an inline request is answered."""

    async def race(retriever: Retriever):
        slow = asyncio.create_task(retriever.answer(Query(user_id="u", scenario="homefeed")))
        await asyncio.sleep(0)
        await retriever.answer(query())
        return slow.done()

    assert answers(bundle, race, source=StoredHistories(STORED, delay_s=0.3)) is False


def test_without_its_collection_exact_search_gives_the_same_items(bundle: Bundle, with_server: Callable):
    async def before_and_after(retriever: Retriever):
        before = await retriever.answer(query())
        with closing(connect(retriever.server.server)) as client:
            client.drop_collection(collection_name(bundle.manifest.id))
        return before, await retriever.answer(query())

    before, after = answers(bundle, before_and_after, with_server(bundle))
    assert (after.source, after.reason) == ("exact", "index_unavailable")
    assert item_ids(after) == item_ids(before)


def test_where_a_servers_index_has_fewer_than_k_items_exact_search_has_them(bundle: Bundle, with_server: Callable):
    async def with_half_an_index(retriever: Retriever):
        search = retriever.client.search

        async def half(*arguments):
            scores_QK, items_QK = await search(*arguments)
            is_lost_QK = items_QK % 2 == 1
            return np.where(is_lost_QK, -np.inf, scores_QK).astype(np.float32), np.where(is_lost_QK, NO_ITEM, items_QK)

        retriever.client.search = half
        return await retriever.answer(query(k=20))

    answer = answers(bundle, with_half_an_index, with_server(bundle))
    assert (answer.source, answer.reason) == ("model", None)
    assert item_ids(answer) == exact_items(bundle, "homefeed", 20, ItemFilter("homefeed"))


def test_a_catalog_too_large_for_exact_search_falls_back(bundle: Bundle, with_server: Callable):
    config = with_server(bundle, search_budget_ms=0, max_exact_items=47)
    answer = answers(bundle, lambda retriever: retriever.answer(query(k=4)), config)
    assert (answer.source, answer.reason) == ("fallback", "index_timeout")
    assert item_ids(answer) == bundle.fallback["homefeed"][:4]


def test_while_the_tower_is_stuck_medoids_of_the_history_answer(bundle: Bundle, way: Way):
    async def while_stuck(retriever: Retriever):
        with stuck_tower(retriever):
            answer = await retriever.answer(query(k=10))
        return answer, await retriever.answer(query(k=10))

    config = way.config(bundle).model_copy(update=IMPATIENT)
    answer, after = answers(bundle, while_stuck, config)
    assert (answer.source, answer.reason, answer.is_of_model) == ("medoid", "tower_timeout", False)
    assert item_ids(answer) == medoid_items(bundle, "homefeed", 10)
    assert item_ids(after) != item_ids(answer) and after.is_of_model


def test_where_the_tower_fails_medoids_of_the_history_answer(bundle: Bundle, tmp_path: Path):
    """The tower has no query of the second scenario."""
    weights_ED, queries_SQD = tower_weights(len(bundle.manifest.scenarios), seed=0)
    onnx.save(tiny_tower(weights_ED, queries_SQD[:1]), tmp_path / "tower.onnx")
    scenario = bundle.manifest.scenarios[1]

    async def with_other_tower(retriever: Retriever):
        retriever.interests.tower = open_tower(tmp_path / "tower.onnx")
        return await retriever.answer(query(scenario))

    answer = answers(bundle, with_other_tower)
    assert (answer.source, answer.reason) == ("medoid", "tower_failed")
    assert item_ids(answer) == medoid_items(bundle, scenario, 10)


def test_medoids_need_no_ranker(tmp_path: Path):
    bundle = tiny_run(tmp_path, num_contenders=12)

    async def while_stuck(retriever: Retriever):
        with stuck_tower(retriever):
            return await retriever.answer(query(k=5))

    answer = answers(bundle, while_stuck, PATIENT.model_copy(update=IMPATIENT))
    assert (answer.source, item_ids(answer)) == ("medoid", medoid_items(bundle, "homefeed", 5))


def test_popular_items_answer_only_if_medoids_fail_too(bundle: Bundle):
    async def while_stuck(retriever: Retriever):
        with stuck_tower(retriever, retriever.workers.medoid_thread):
            return await retriever.answer(query(k=4))

    answer = answers(bundle, while_stuck, PATIENT.model_copy(update=IMPATIENT))
    assert (answer.source, answer.reason) == ("fallback", "tower_timeout")
    assert item_ids(answer) == bundle.fallback["homefeed"][:4]


def test_medoids_leave_out_what_the_request_leaves_out(bundle: Bundle):
    async def while_stuck(retriever: Retriever):
        with stuck_tower(retriever):
            return await retriever.answer(query(exclude_seen=True, category="tools"))

    answer = answers(bundle, while_stuck, PATIENT.model_copy(update=IMPATIENT))
    categories = {bundle.items["category"][bundle.item_index[item]].as_py() for item in item_ids(answer)}
    assert (answer.source, categories, set(item_ids(answer)) & set(SEEN)) == ("medoid", {"tools"}, set())


def test_an_index_swapped_between_requests_is_refused_with_both_ids(
    bundle: Bundle, other_bundle: Bundle, with_server: Callable
):
    async def before_and_after(retriever: Retriever):
        await retriever.answer(query())
        swap(retriever.server.server, bundle, other_bundle)
        return await retriever.answer(query())

    with pytest.raises(BundleMismatchError, match=f"{bundle.manifest.id}.*{other_bundle.manifest.id}"):
        answers(bundle, before_and_after, with_server(bundle))


@pytest.mark.parametrize("excludes_seen", [False, True])
def test_the_answer_is_in_the_rankers_order_as_evaluation_ranks_it(tmp_path: Path, way: Way, excludes_seen: bool):
    """Boosts as in `test_popularity_boost`."""
    boosts = BoostWeights(popularity=0.3, own=(0, 0, 0.7, 0, 0, 0), excludes_seen=excludes_seen)
    bundle, features = tiny_run(tmp_path, boosts=boosts, num_contenders=12), RunFolder(tmp_path).features
    histories, queried = Histories(tmp_path / "data"), query()
    moment_ms = int(np.asarray(histories.timestamp_ms_N).max()) + MS_PER_HOUR
    assert queried.history
    history = encode_columns(event_columns(queried.history), bundle)
    allowed_SN = is_allowed(tmp_path / "data/items.parquet", bundle.manifest.scenarios)
    boosted = with_boosts(
        exported_towers(tmp_path / "model", bundle.history_config),
        Popularity(histories, allowed_SN),
        bundle.manifest.boosts,
        bundle.manifest.logit_scale,
    )
    scenario = bundle.manifest.scenarios.index(queried.scenario)
    interests_QD = boosted.interests_of([history], scenario, np.array([moment_ms]))[0]
    ranked_query = RankedQuery(interests_QD, history, scenario, moment_ms)
    ranked, searched = (
        best_items(scorer, [ranked_query], allowed_SN[scenario], 10)[0]
        for scorer in (with_ranker(boosted, bundle.ranker), boosted)
    )
    answer = answers(
        bundle,
        lambda retriever: retriever.answer(queried),
        way.config(bundle),
        features=features,
        clock=lambda: moment_ms,
    )
    assert answer.source == way.source
    assert item_ids(answer) == [bundle.item_ids[item] for item in ranked.items_K]
    assert [item.score for item in answer.items] == pytest.approx(ranked.scores_K.tolist(), abs=1e-3)
    assert ranked.items_K.tolist() != searched.items_K.tolist()
    assert (set(item_ids(answer)) & {event.item_id for event in queried.history} != set()) != excludes_seen


@pytest.fixture(scope="module")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose items have windows, with boosts, a ranker, and features beside it."""
    boosts = BoostWeights(popularity=0.3, own=(0, 0, 0.7, 0, 0, 0))
    return tiny_run(tmp_path_factory.mktemp("windowed"), boosts=boosts, num_contenders=12, windows=WINDOWS)


def available(bundle: Bundle, moment_ms: int) -> set[str]:
    """The items that homefeed may show then, a second way."""
    moment, opens, closes = datetime.fromtimestamp(moment_ms / 1000, UTC), "available_from", "available_until"
    return {
        row["item_id"]
        for row in bundle.items.to_pylist()
        if "homefeed" in row["scenarios"]
        and (row[opens] is None or row[opens] <= moment)
        and (row[closes] is None or moment < row[closes])
    }


def answers_at(bundle: Bundle, queried: Query, config: ServingConfig, is_stuck: bool = False) -> list[Answer]:
    """Answers of one retriever whose clock moves from one of `MOMENTS` to the next."""
    now = [MOMENTS[0]]

    async def each(retriever: Retriever) -> list[Answer]:
        given = []
        for now[0] in MOMENTS:
            with stuck_tower(retriever) if is_stuck else nullcontext():
                given.append(await retriever.answer(queried))
        return given

    features = RunFolder(bundle.path.parent).features
    given: list[Answer] = answers(bundle, each, config, features=features, clock=lambda: now[0])
    return given


def assert_available(bundle: Bundle, queried: Query, given: list[Answer]) -> None:
    expected = [available(bundle, moment_ms) for moment_ms in MOMENTS]
    assert len({frozenset(items) for items in expected}) == 3  # before, inside and after the window between
    for answer, items in zip(given, expected, strict=True):
        assert len(item_ids(answer)) == len(set(item_ids(answer))) == min(queried.k, len(items))
        assert set(item_ids(answer)) <= items


@pytest.mark.parametrize("k", [5, 48])
def test_an_item_is_in_answers_only_inside_its_window_which_begins_and_ends_while_it_is_served(
    windowed: Bundle, way: Way, k: int
):
    given = answers_at(windowed, query(k=k), way.config(windowed))
    assert {answer.source for answer in given} == {way.source}
    assert_available(windowed, query(k=k), given)


@pytest.mark.parametrize("k", [5, 48])
def test_medoids_and_popular_items_keep_to_the_windows_too(windowed: Bundle, k: int):
    given = answers_at(windowed, query(k=k), PATIENT.model_copy(update=IMPATIENT), is_stuck=True)
    assert {answer.source for answer in given} == {"medoid"}
    assert_available(windowed, query(k=k), given)
    unknown = Query(user_id="nobody", scenario="homefeed", k=k)
    given = answers_at(windowed, unknown, PATIENT)
    assert {(answer.source, answer.reason) for answer in given} == {("fallback", "unknown_user")}
    assert_available(windowed, unknown, given)


def test_a_fallback_is_of_popular_items_first_and_has_k_where_k_exist(bundle: Bundle):
    narrow = bundle._replace(fallback={"homefeed": bundle.fallback["homefeed"][:2]})
    answer = answers(narrow, lambda retriever: retriever.answer(query(items=["gone"], k=40)))
    shown = [
        item for item in bundle.item_ids if "homefeed" in bundle.items["scenarios"][bundle.item_index[item]].as_py()
    ]
    assert item_ids(answer)[:2] == bundle.fallback["homefeed"][:2]
    assert set(item_ids(answer)) <= set(shown) and len(set(item_ids(answer))) == min(40, len(shown))


def test_a_request_may_ask_for_what_its_scenario_leaves_out(tmp_path: Path):
    boosts = BoostWeights(popularity=0.0, own=(0, 0, 9.0, 0, 0, 0), excludes_seen=True)
    bundle, queried = tiny_run(tmp_path, boosts=boosts), query()
    assert queried.history
    seen = {event.item_id for event in queried.history}
    for exclude_seen, is_shown in ((None, False), (True, False), (False, True)):
        variant = queried.model_copy(update={"exclude_seen": exclude_seen})
        answer = answers(bundle, lambda retriever, variant=variant: retriever.answer(variant))
        assert bool(seen & set(item_ids(answer))) == is_shown
