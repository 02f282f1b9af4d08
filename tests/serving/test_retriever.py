"""The retriever on a real ONNX tower and a real embedded index, without a server around it."""

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_repo.forget import forget_features
from feature_repo.online import OnlineHistories
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.forget import Person
from redrec.data.histories import TEST, recent_counts
from redrec.data.histories import Histories as Offline
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import merge_max
from redrec.index.milvus import BundleMismatchError, release_embedded
from redrec.index.popularity_boost import boosts, daily_rates
from serving.config import ServingConfig, serving_config
from serving.requests import Event, Query
from serving.retriever import Answer, Retriever
from tests.bundles import CATEGORIES, numpy_interests, swap, tiny_run

SEEN = ["item-001", "item-007", "item-010"]
PATIENT = ServingConfig(features_budget_ms=20_000, tower_budget_ms=20_000, search_budget_ms=20_000)


def query(scenario: str = "homefeed", items: list[str] | None = None, **options: Any) -> Query:
    events = [
        Event(item_id=item, action="click", scenario="homefeed", timestamp_ms=1_700_000_000_000 + i)
        for i, item in enumerate(SEEN if items is None else items)
    ]
    return Query(user_id="u", scenario=scenario, history=events, **options)


def answers(
    bundle: Bundle,
    ask: Callable[[Retriever], Coroutine],
    config: ServingConfig = PATIENT,
    source: "Histories | None" = None,
    features: Path | None = None,
) -> Any:
    """Run `ask` between a retriever's start and close."""

    async def session():
        retriever = Retriever(bundle, config, features)
        retriever.source = source or retriever.source
        try:
            await retriever.start()
            return await ask(retriever)
        finally:
            await retriever.close()

    return asyncio.run(session())


def exact_items(bundle: Bundle, scenario: str, k: int, item_filter: ItemFilter, boost_N=0.0) -> list[str]:
    """The same answer a second way: numpy tower, one matrix product, full sort."""
    is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(item_filter)
    interests_QD = numpy_interests(bundle, SEEN, scenario)
    cosine_N = (interests_QD @ bundle.embeddings_ND.astype(np.float32).T).max(axis=0)
    scores_N = np.where(is_allowed_N, cosine_N + boost_N, -np.inf)
    return [bundle.item_ids[i] for i in np.argsort(-scores_N, kind="stable")[:k] if is_allowed_N[i]]


def item_ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


QUERIED = pytest.mark.parametrize(
    ("options", "item_filter"),
    [
        ({"scenario": "homefeed"}, ItemFilter("homefeed")),
        ({"scenario": "search", "k": 40}, ItemFilter("search")),
        ({"scenario": "ads", "category": CATEGORIES[2]}, ItemFilter("ads", CATEGORIES[2])),
        ({"scenario": "ads", "exclude_seen": True, "k": 40}, ItemFilter("ads", None, tuple(SEEN))),
    ],
)


@QUERIED
def test_the_answer_is_the_top_k_of_the_towers_interests(bundle: Bundle, options: dict, item_filter: ItemFilter):
    queried = query(**options)
    answer = answers(bundle, lambda retriever: retriever.answer(queried))
    assert (answer.source, answer.reason) == ("model", None)
    assert item_ids(answer) == exact_items(bundle, queried.scenario, queried.k, item_filter)


@pytest.fixture(scope="module")
def boosting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    """A bundle with a popularity boost, and its features."""
    folder = tmp_path_factory.mktemp("boosting")
    return tiny_run(folder, popularity_boost_weight=0.3), folder / "features"


@QUERIED
@pytest.mark.parametrize("max_search_ms", [20_000, 0])
def test_the_popularity_boost_is_added_by_the_index_and_by_exact_search(
    boosting: tuple[Bundle, Path], options: dict, item_filter: ItemFilter, max_search_ms: int
):
    """As evaluation adds it, from all events that the features hold."""
    bundle, features = boosting
    histories = Offline(features.parent / "data")
    counts_WSN = recent_counts(histories, TEST + 1, len(bundle.item_ids), len(bundle.manifest.scenarios))
    queried = query(**options)
    rate_N = daily_rates(counts_WSN[:, bundle.manifest.scenarios.index(queried.scenario)])
    boost_N = boosts(rate_N, Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter(queried.scenario)), 0.3, 1)
    config = PATIENT.model_copy(update={"search_budget_ms": max_search_ms})
    answer = answers(bundle, lambda retriever: retriever.answer(queried), config, features=features)
    assert answer.source == ("model" if max_search_ms else "exact")
    assert item_ids(answer) == exact_items(bundle, queried.scenario, queried.k, item_filter, boost_N)
    assert item_ids(answer) != exact_items(bundle, queried.scenario, queried.k, item_filter)


def test_features_without_the_items_statistics_are_refused(boosting: tuple[Bundle, Path], tmp_path: Path):
    bundle, features = boosting
    shutil.copytree(features, tmp_path / "features")
    (tmp_path / "features/sources/items_ads.parquet").unlink()
    with pytest.raises(InputError, match=f"items_ads.parquet is missing, and bundle {bundle.manifest.id} boosts"):
        Retriever(bundle, PATIENT, tmp_path / "features")


def test_without_features_nothing_is_boosted(boosting: tuple[Bundle, Path]):
    answer = answers(boosting[0], lambda retriever: retriever.answer(query()))
    assert item_ids(answer) == exact_items(boosting[0], "homefeed", query().k, ItemFilter("homefeed"))


def test_an_item_names_its_title_and_the_interest_that_found_it(bundle: Bundle):
    best = answers(bundle, lambda retriever: retriever.answer(query())).items[0]
    found = merge_max(*exact_search(numpy_interests(bundle, SEEN, "homefeed"), bundle.embeddings_ND, 48), 48)
    row = found.items_K.tolist().index(bundle.item_index[best.item_id])
    assert best.title == bundle.items["title"][bundle.item_index[best.item_id]].as_py()
    assert (best.interest, best.score) == (found.interests_K[row], pytest.approx(found.scores_K[row], abs=1e-4))


def test_a_user_without_known_events_gets_the_scenarios_popular_items(bundle: Bundle):
    answer = answers(bundle, lambda retriever: retriever.answer(query("ads", items=["not-in-this-catalog"], k=5)))
    assert (answer.source, answer.reason) == ("fallback", "no_known_events")
    assert item_ids(answer) == bundle.fallback["ads"][:5]


def test_a_user_without_history_and_without_features_is_unknown(bundle: Bundle):
    answer = answers(bundle, lambda retriever: retriever.answer(Query(user_id="u", scenario="ads", category="tools")))
    assert (answer.source, answer.reason) == ("fallback", "unknown_user")
    assert {bundle.items["category"][bundle.item_index[item]].as_py() for item in item_ids(answer)} == {"tools"}


class Histories:
    """A history source over a dict, that may be slow or away."""

    def __init__(self, users: dict[str, dict[str, list]], delay_s: float = 0, error: Exception | None = None):
        self.users, self.delay_s, self.error = users, delay_s, error

    def read(self, user_id: str) -> dict[str, list] | None:
        time.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return self.users.get(user_id)


STORED = {"u": {"item_ids": SEEN, "actions": ["click"] * 3, "scenarios": ["homefeed"] * 3, "timestamps_ms": [1, 2, 3]}}


def test_a_stored_history_answers_as_the_same_history_inline(bundle: Bundle):
    stored = Query(user_id="u", scenario="homefeed")

    async def both(retriever: Retriever):
        return await retriever.answer(stored), await retriever.answer(query())

    from_store, inline = answers(bundle, both, source=Histories(STORED))
    assert from_store == inline


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Histories({}), "unknown_user"),
        (Histories(STORED, delay_s=0.3), "features_timeout"),
        (Histories(STORED, error=ConnectionError("away")), "features_unavailable"),
    ],
)
def test_without_a_stored_history_the_answer_is_a_marked_fallback(bundle: Bundle, source: Histories, reason: str):
    config = PATIENT.model_copy(update={"features_budget_ms": 100})
    queried = Query(user_id="u", scenario="homefeed", k=3)
    answer = answers(bundle, lambda retriever: retriever.answer(queried), config, source)
    assert (answer.source, answer.reason, item_ids(answer)) == ("fallback", reason, bundle.fallback["homefeed"][:3])


def test_a_user_who_is_forgotten_is_unknown_to_the_next_answer_of_the_same_retriever(tmp_path: Path):
    """Nothing on the way keeps a history: the embedded store is read at each request."""
    bundle, queried = tiny_run(tmp_path), Query(user_id="user-1", scenario="ads", k=3)

    async def before_and_after(retriever: Retriever):
        before = await retriever.answer(queried)
        forget_features(tmp_path / "features", Person("user-1"))
        return (
            before,
            await retriever.answer(queried),
            await retriever.answer(queried.model_copy(update={"user_id": "user-11"})),
        )

    source = OnlineHistories(tmp_path / "features")
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

    assert answers(bundle, race, source=Histories(STORED, delay_s=0.3)) is False


def test_when_milvus_is_away_exact_search_gives_the_same_items(bundle: Bundle):
    async def ask(retriever: Retriever):
        before = await retriever.answer(query())
        release_embedded(Path(retriever.index.uri))
        return before, await retriever.answer(query())

    before, after = answers(bundle, ask)
    assert (after.source, after.reason) == ("exact", "index_unavailable")
    assert item_ids(after) == item_ids(before)


def test_past_the_search_budget_exact_search_answers(bundle: Bundle):
    config = PATIENT.model_copy(update={"search_budget_ms": 1})  # the embedded index takes ten
    answer = answers(bundle, lambda retriever: retriever.answer(query()), config)
    assert (answer.source, answer.reason) == ("exact", "index_timeout")
    assert item_ids(answer) == exact_items(bundle, "homefeed", 10, ItemFilter("homefeed"))


def test_a_catalog_too_large_for_exact_search_falls_back(bundle: Bundle):
    config = PATIENT.model_copy(update={"search_budget_ms": 1, "max_exact_items": 47})
    answer = answers(bundle, lambda retriever: retriever.answer(query(k=4)), config)
    assert (answer.source, answer.reason) == ("fallback", "index_timeout")
    assert item_ids(answer) == bundle.fallback["homefeed"][:4]


def test_past_the_towers_budget_the_answer_falls_back(bundle: Bundle):
    async def ask(retriever: Retriever):
        blocked = [retriever.tower_threads.submit(time.sleep, 0.3) for _ in range(retriever.config.tower_threads)]
        answer = await retriever.answer(query())
        return answer, [future.result() for future in blocked]

    config = PATIENT.model_copy(update={"tower_budget_ms": 50})
    assert answers(bundle, ask, config)[0].reason == "tower_timeout"


def test_an_index_swapped_between_requests_is_refused_with_both_ids(bundle: Bundle, other_bundle: Bundle):
    async def ask(retriever: Retriever):
        await retriever.answer(query())
        swap(retriever.index.uri, bundle, other_bundle)
        return await retriever.answer(query())

    with pytest.raises(BundleMismatchError, match=f"{bundle.manifest.id}.*{other_bundle.manifest.id}"):
        answers(bundle, ask)


def test_an_index_swapped_on_disk_is_refused_at_start_with_both_ids(
    swapped: Path, bundle: Bundle, other_bundle: Bundle
):
    with pytest.raises(BundleMismatchError, match=f"{bundle.manifest.id}.*{other_bundle.manifest.id}"):
        Retriever(Bundle.load(swapped), PATIENT, features=None)


def test_serving_leaves_the_bundle_as_it_was(bundle: Bundle):
    before = {path: path.stat().st_mtime_ns for path in bundle.path.rglob("*")}
    answers(bundle, lambda retriever: retriever.answer(query()))
    assert {path: path.stat().st_mtime_ns for path in bundle.path.rglob("*")} == before


def test_the_milvus_address_comes_from_the_environment(tmp_path: Path):
    file = tmp_path / "serving.yaml"
    file.write_text("search_budget_ms: 150\n")
    config = serving_config(file, {"REDREC_MILVUS_URI": "http://milvus:19530"})
    assert (config.search_budget_ms, config.milvus_uri) == (150, "http://milvus:19530")


def test_a_path_is_not_taken_for_a_milvus_server(bundle: Bundle):
    with pytest.raises(InputError, match="http://HOST:PORT"):
        Retriever(bundle, ServingConfig(milvus_uri="/tmp/other.db"), features=None)
