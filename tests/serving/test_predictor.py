"""The predictor before it loads anything; test_app.py has it behind its server."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from redrec.history import Vocabulary
from serving import predictor
from serving.config import ServingConfig
from serving.predictor import Predictor
from serving.v2 import INPUTS

EVENT = {"item_id": "i1", "action": "click", "scenario": "ads", "timestamp_ms": 1_700_000_000_000}


@pytest.fixture
def unloaded() -> Predictor:
    made = Predictor("redrec", Path("bundle"), None, ServingConfig())
    vocabulary = Vocabulary(scenarios=("ads",), actions=("click",))
    made.arms = SimpleNamespace(bundle=SimpleNamespace(vocabulary=vocabulary))
    return made


@pytest.mark.parametrize(("num_events", "is_on_loop"), [(1, True), (200, True), (201, False)])
def test_long_histories_are_checked_beside_the_event_loop(
    unloaded: Predictor, monkeypatch: pytest.MonkeyPatch, num_events: int, is_on_loop: bool
):
    threads = []
    parse = predictor.parse_instances

    def parse_here(*arguments: object) -> list:
        threads.append(threading.current_thread())
        return parse(*arguments)

    monkeypatch.setattr(predictor, "parse_instances", parse_here)
    instances = [{"user_id": "u1", "scenario": "ads", "history": [EVENT] * num_events}]
    (query,) = asyncio.run(unloaded._parsed(instances))
    assert len(query.history) == num_events
    assert (threads == [threading.main_thread()]) == is_on_loop


def test_the_model_describes_the_tensors_that_it_reads(unloaded: Predictor):
    assert {each["name"]: each["datatype"] for each in unloaded.get_input_types()} == INPUTS
