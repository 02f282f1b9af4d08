"""Answers in the two protocols: V2 pads shorter lists, and marks what a fallback does not have."""

from serving.answers import v1_answers, v2_answers
from serving.retriever import Answer, Item

ANSWERS = [
    Answer([Item("i1", "Tea", 0.5, 2), Item("i2", "Kettle", 0.25, 0)], "model", None),
    Answer([Item("i3", "Lamp", None, None)], "fallback", "unknown_user"),
]


def test_v1_has_one_object_per_answer():
    assert v1_answers(ANSWERS[1:], "b1") == {
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
    tensors = {tensor.name: tensor for tensor in v2_answers(ANSWERS, "b1")}
    assert (tensors["item_id"].shape, tensors["item_id"].data) == ([2, 2], ["i1", "i2", "i3", ""])
    assert tensors["score"].data == [0.5, 0.25, 0.0, 0.0]
    assert tensors["interest"].data == [2, 0, -1, -1]
    assert (tensors["source"].shape, tensors["source"].data) == ([2], ["model", "fallback"])
    assert tensors["reason"].data == ["", "unknown_user"]
    assert tensors["bundle_id"].data == ["b1", "b1"]
