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


def test_an_item_without_a_title_is_shown_by_its_id():
    items = [{"item_id": "i1", "title": None, "score": 0.5, "interest": 2}]
    answer = {"items": items, "source": "model", "reason": None, "bundle_id": "b1"}
    assert answer_text(answer).splitlines()[1].split() == ["1", "i1", "0.5000", "2", "-"]


def test_without_a_server_the_command_says_what_to_start(capsys: pytest.CaptureFixture[str]):
    url = f"http://127.0.0.1:{free_port()}"
    status, error = status_and_error(capsys, "query", "--user", "u1", "--scenario", "ads", "--url", url)
    assert (status, "Is `redrec serve` running there" in error) == (1, True)
