"""Answers in the two protocols: V2 pads shorter lists, and marks what a fallback does not have."""

import json

from serving.answers import v1_answers, v2_answers
from serving.arms import Served
from serving.explanations import Explanation, NearEvent
from serving.lists import Answer, Item

ANSWERS = [
    Served(Answer([Item("i1", "Tea", 0.5, 2), Item("i2", "Kettle", 0.25, 0)], "model", None), "b1"),
    Served(Answer([Item("i3", "Lamp", None, None)], "fallback", "unknown_user"), "b1"),
]


def test_v1_has_one_object_per_answer():
    assert v1_answers(ANSWERS[1:]) == {
        "predictions": [
            {
                "items": [{"item_id": "i3", "title": "Lamp", "score": None, "interest": None}],
                "source": "fallback",
                "reason": "unknown_user",
                "bundle_id": "b1",
            }
        ]
    }


def test_v2_has_one_row_per_answer_of_the_longest_length():
    tensors = {tensor.name: tensor for tensor in v2_answers(ANSWERS)}
    assert (tensors["item_id"].shape, tensors["item_id"].data) == ([2, 2], ["i1", "i2", "i3", ""])
    assert tensors["score"].data == [0.5, 0.25, 0.0, 0.0]
    assert tensors["interest"].data == [2, 0, -1, -1]
    assert (tensors["source"].shape, tensors["source"].data) == ([2], ["model", "fallback"])
    assert tensors["reason"].data == ["", "unknown_user"]
    assert tensors["bundle_id"].data == ["b1", "b1"]


def test_a_server_with_an_allocation_names_experiment_arm_and_exposure():
    served = [
        ANSWERS[0]._replace(experiment="towers-2", arm="treatment", exposure_id="e1"),
        ANSWERS[1]._replace(experiment="towers-2", arm="control", bundle_id="b0"),
    ]
    names = [{name: one[name] for name in ("experiment", "arm", "exposure_id", "bundle_id")} for one in v1(served)]
    assert names == [
        {"experiment": "towers-2", "arm": "treatment", "exposure_id": "e1", "bundle_id": "b1"},
        {"experiment": "towers-2", "arm": "control", "exposure_id": None, "bundle_id": "b0"},
    ]
    tensors = {tensor.name: tensor.data for tensor in v2_answers(served)}
    assert tensors["experiment"] == ["towers-2", "towers-2"]
    assert tensors["arm"] == ["treatment", "control"]
    assert tensors["exposure_id"] == ["e1", ""]
    assert tensors["bundle_id"] == ["b1", "b0"]
    assert not {"experiment", "arm", "exposure_id"} & {tensor.name for tensor in v2_answers(ANSWERS)}


def test_an_explanation_is_there_only_where_one_was_made():
    explanation = Explanation(0.5, 0.25, 0.0, -2, [NearEvent("i9", "ads", 1, 0.75)])
    items = [Item("i1", "Tea", 0.75, 2, explanation), Item("i2", "Kettle", 0.5, 0)]
    served = [Served(Answer(items, "model", None), "b1"), ANSWERS[1]]
    shown = {
        "cosine": 0.5,
        "recent_popularity": 0.25,
        "own_items": 0.0,
        "moved_by_ranker": -2,
        "nearest_events": [{"item_id": "i9", "scenario": "ads", "timestamp_ms": 1, "cosine": 0.75}],
    }
    first, second = v1(served)[0]["items"]
    assert (first["explanation"], "explanation" in second) == (shown, False)
    tensors = {tensor.name: tensor for tensor in v2_answers(served)}
    first, *others = tensors["explanation"].data
    assert (tensors["explanation"].shape, json.loads(first), others) == ([2, 2], shown, ["", "", ""])
    assert "explanation" not in {tensor.name for tensor in v2_answers(ANSWERS)}


def v1(served: list[Served]) -> list[dict]:
    return v1_answers(served)["predictions"]
