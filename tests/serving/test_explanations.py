"""Explanations on a real retriever: cosine and boosts add up, the events are the user's nearest, the ranker's moves are named."""

from pathlib import Path

import numpy as np
import pytest

from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from redrec.model.boosts import BoostWeights
from serving.explanations import NUM_EVENTS, Explanation
from serving.lists import Answer, Item
from serving.requests import Query
from tests.bundles import tiny_run
from tests.serving.conftest import Way
from tests.serving.retrieval import PATIENT, SEEN, answers, item_ids, query, stuck_tower

BOOSTS = BoostWeights(popularity=0.3, own=(0, 0, 0.7, 0, 0, 0))


def explained(item: Item) -> Explanation:
    assert item.explanation is not None
    return item.explanation


def answer_of(bundle: Bundle, queried: Query, folder: Path, config=PATIENT) -> Answer:
    answer: Answer = answers(
        bundle, lambda retriever: retriever.answer(queried), config, features=RunFolder(folder).features
    )
    return answer


def test_cosine_and_boosts_add_up_to_the_score_of_the_search(tmp_path: Path, way: Way):
    bundle, queried = tiny_run(tmp_path, boosts=BOOSTS), query(k=48, explain=True)
    items = answer_of(bundle, queried, tmp_path, way.config(bundle)).items
    summands = [explained(item)[:3] for item in items]
    assert [sum(three) for three in summands] == pytest.approx([item.score for item in items], abs=1e-4)
    assert {item.item_id for item in items if explained(item).own_items > 0} == set(SEEN)
    assert any(three[1] > 0 for three in summands) and not any(explained(item).moved_by_ranker for item in items)


def test_the_nearest_events_are_the_users_by_cosine_each_item_once(bundle: Bundle):
    """The history has the first item twice; its newest event counts."""
    queried = query(items=[SEEN[0], *SEEN], k=5, explain=True)
    for item in answers(bundle, lambda retriever: retriever.answer(queried)).items:
        embeddings_ND, index = bundle.embeddings_ND.astype(np.float32), bundle.item_index
        cosines = {seen: float(embeddings_ND[index[item.item_id]] @ embeddings_ND[index[seen]]) for seen in SEEN}
        events = explained(item).nearest_events
        assert [event.item_id for event in events] == sorted(SEEN, key=lambda seen: -cosines[seen])
        assert [event.cosine for event in events] == pytest.approx([cosines[event.item_id] for event in events])
        newest = {seen: 1_700_000_000_001 + number for number, seen in enumerate(SEEN)}
        assert {event.item_id: event.timestamp_ms for event in events} == newest
        assert {event.scenario for event in events} == {"homefeed"}


def test_of_a_long_history_the_nearest_are_named(bundle: Bundle):
    queried = query(items=bundle.item_ids[:20], k=4, explain=True)
    items = answers(bundle, lambda retriever: retriever.answer(queried)).items
    assert [len(explained(item).nearest_events) for item in items] == [NUM_EVENTS] * 4


def test_the_positions_that_the_ranker_moved_an_item_lead_back_to_the_search(tmp_path: Path):
    ranking = tiny_run(tmp_path / "ranking", boosts=BOOSTS, num_contenders=12)
    searching = tiny_run(tmp_path / "searching", boosts=BOOSTS)
    ranked = answer_of(ranking, query(k=12, explain=True), tmp_path / "ranking").items
    searched = item_ids(answer_of(searching, query(k=12), tmp_path / "searching"))
    before = {explained(item).moved_by_ranker + number: item.item_id for number, item in enumerate(ranked)}
    assert [before[number] for number in range(12)] == searched
    assert any(explained(item).moved_by_ranker for item in ranked)


def test_medoids_explain_their_answer_too(bundle: Bundle):
    async def while_stuck(retriever) -> Answer:
        with stuck_tower(retriever):
            return await retriever.answer(query(k=3, explain=True))

    answer = answers(bundle, while_stuck, PATIENT.model_copy(update={"tower_budget_ms": 100}))
    assert answer.source == "medoid" and all(item.explanation for item in answer.items)


@pytest.mark.parametrize("queried", [query(k=3), query(items=["not-in-this-catalog"], explain=True)])
def test_without_being_asked_or_without_a_model_nothing_is_explained(bundle: Bundle, queried: Query):
    answer = answers(bundle, lambda retriever: retriever.answer(queried))
    assert answer.items and not any(item.explanation for item in answer.items)
