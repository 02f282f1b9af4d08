"""The newest decision, by scenario; test_arms.py has the route behind its server."""

import asyncio
import json

import pytest

from redrec.experiments.allocation import Allocation
from redrec.experiments.decisions import Decision
from serving.allocation_file import AllocationFile
from serving.bodies import NewestDecision
from serving.decisions import DecisionRoute
from tests.experiments.logs import planned

USERS = {"control": 300, "treatment": 300}


@pytest.fixture
def route(tmp_path) -> DecisionRoute:
    promoted = Decision(verdict="promote", rule="better", reason="click +5 %", look=7, users=USERS)
    allocation = Allocation(plan=planned(), serves={"ads": "treatment"}, decisions={"ads": promoted})
    (tmp_path / "allocation.json").write_text(allocation.model_dump_json())
    return DecisionRoute(AllocationFile(tmp_path / "allocation.json", lambda allocation: None))


def test_a_decision_is_returned_as_described(route: DecisionRoute):
    answer = asyncio.run(route.get("towers-2", "ads"))
    assert answer.status_code == 200
    assert NewestDecision.model_validate_json(answer.body) == NewestDecision(
        experiment="towers-2",
        scenario="ads",
        plan_hash=planned().hash(),
        verdict="promote",
        rule="better",
        reason="click +5 %",
        look=7,
    )


@pytest.mark.parametrize(
    ("experiment", "scenario", "words"),
    [
        ("towers-1", "ads", "no experiment 'towers-1'; this server has 'towers-2'"),
        ("towers-2", "radio", "no scenario 'radio'; it has homefeed, search, ads"),
        ("towers-2", "search", "Nothing is decided yet in scenario 'search'"),
    ],
)
def test_without_one_the_answer_says_why(route: DecisionRoute, experiment, scenario, words):
    answer = asyncio.run(route.get(experiment, scenario))
    assert answer.status_code == 404
    assert words in json.loads(answer.body)["error"]
