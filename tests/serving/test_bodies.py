"""Bodies: what the description says is what the server checks and answers."""

import pytest
from pydantic import ValidationError

from redrec.history import Vocabulary
from serving.answers import v1_answers
from serving.arms import Served
from serving.bodies import V1Answer, V1Request
from serving.lists import Answer, Item
from serving.requests import MAX_INSTANCES, parse_instances

VOCABULARY = Vocabulary(scenarios=("ads",), actions=("click",))
INSTANCE = {"user_id": "u1", "scenario": "ads"}


def test_answers_of_the_model_and_of_the_fallback_are_as_described():
    answers = [
        Answer([Item("i1", "Lamp", 0.5, 2)], "model", None),
        Answer([Item("i2", None, None, None)], "fallback", "unknown_user"),
    ]
    for names in ({}, {"experiment": "towers-2", "arm": "control"}):
        body = v1_answers([Served(answer, "b1", **names) for answer in answers])
        assert V1Answer.model_validate(body).model_dump(exclude_unset=True) == body


@pytest.mark.parametrize(
    "instances", [[], [INSTANCE] * (MAX_INSTANCES + 1), [INSTANCE | {"k": 0}], [{"user_id": "u1"}]]
)
def test_what_the_description_refuses_the_server_refuses(instances: list):
    with pytest.raises(ValidationError):
        V1Request.model_validate({"instances": instances})
    with pytest.raises(ValueError, match="instances"):
        parse_instances(instances, VOCABULARY)


def test_what_the_description_allows_the_server_allows():
    request = V1Request.model_validate({"instances": [INSTANCE] * MAX_INSTANCES})
    assert parse_instances([INSTANCE] * MAX_INSTANCES, VOCABULARY) == request.instances
