"""`redrec query`: an answer as a table; without a server, what to start. test_serve.py queries a real server."""

import pytest

from cli.query import answer_text
from tests.cli.conftest import status_and_error
from tests.redis_server import free_port


def test_a_fallback_answer_has_no_scores_and_names_its_reason():
    items = [{"item_id": "i1", "title": "Green tea", "score": None, "interest": None}]
    answer = {"items": items, "source": "fallback", "reason": "unknown_user", "bundle_id": "b1"}
    _, row, _, source = answer_text(answer).splitlines()
    assert row.split(maxsplit=4) == ["1", "i1", "-", "-", "Green tea"]
    assert source == "source: fallback (unknown_user), bundle b1"


def test_an_answer_of_the_model_has_score_and_interest():
    items = [{"item_id": "i1", "title": "Green tea", "score": 0.5, "interest": 2}]
    answer = {"items": items, "source": "model", "reason": None, "bundle_id": "b1"}
    _, row, _, source = answer_text(answer).splitlines()
    assert row.split(maxsplit=4) == ["1", "i1", "0.5000", "2", "Green tea"]
    assert source == "source: model, bundle b1"


def test_an_explained_item_has_what_adds_to_its_score_and_the_nearest_events():
    events = [{"item_id": "i7", "scenario": "ads", "timestamp_ms": 1, "cosine": 0.754}]
    summands = {"cosine": 0.25, "recent_popularity": 0.0, "own_items": 0.125}
    explanation = summands | {"moved_by_ranker": -2, "nearest_events": events}
    items = [{"item_id": "i1", "title": "Tea", "score": 0.375, "interest": 2, "explanation": explanation}]
    answer = {"items": items, "source": "model", "reason": None, "bundle_id": "b1"}
    row = answer_text(answer).splitlines()[1].split(maxsplit=9)
    assert row == ["1", "i1", "0.3750", "2", "Tea", "0.2500", "0.0000", "0.1250", "-2", "i7 (ads, 0.75)"]


def test_an_item_without_a_title_is_shown_by_its_id():
    items = [{"item_id": "i1", "title": None, "score": 0.5, "interest": 2}]
    answer = {"items": items, "source": "model", "reason": None, "bundle_id": "b1"}
    assert answer_text(answer).splitlines()[1].split() == ["1", "i1", "0.5000", "2", "-"]


def test_without_a_server_the_command_says_what_to_start(capsys: pytest.CaptureFixture[str]):
    url = f"http://127.0.0.1:{free_port()}"
    status, error = status_and_error(capsys, "query", "--user", "u1", "--scenario", "ads", "--url", url)
    assert (status, "Is `redrec serve` running there" in error) == (1, True)
