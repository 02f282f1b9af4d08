"""Answers of the retriever, in the shapes of the V1 and V2 protocols."""

from collections.abc import Sequence
from typing import NamedTuple

from serving.retriever import Answer, Item

NO_ITEM_ID, NO_SCORE, NO_INTEREST = "", 0.0, -1  # V2 tensors are rectangular and JSON has no NaN


class Tensor(NamedTuple):
    name: str
    datatype: str
    shape: list[int]
    data: list


def v1_answers(answers: Sequence[Answer], bundle_id: str) -> dict[str, list[dict[str, object]]]:
    return {"predictions": [v1_answer(answer, bundle_id) for answer in answers]}


def v1_answer(answer: Answer, bundle_id: str) -> dict[str, object]:
    return {
        "items": [item._asdict() for item in answer.items],
        "source": answer.source,
        "reason": answer.reason,
        "bundle_id": bundle_id,
    }


def v2_answers(answers: Sequence[Answer], bundle_id: str) -> list[Tensor]:
    """Return n rows of k columns; k is the length of the longest list, and shorter ones are padded with empty ids."""
    n, k = len(answers), max(len(answer.items) for answer in answers)
    padding = Item(NO_ITEM_ID, "", NO_SCORE, NO_INTEREST)
    items: list[Item] = []
    for answer in answers:
        items += answer.items + [padding] * (k - len(answer.items))
    scores = [NO_SCORE if item.score is None else item.score for item in items]
    interests = [NO_INTEREST if item.interest is None else item.interest for item in items]
    return [
        Tensor("item_id", "BYTES", [n, k], [item.item_id for item in items]),
        Tensor("score", "FP32", [n, k], scores),
        Tensor("interest", "INT32", [n, k], interests),
        Tensor("source", "BYTES", [n], [answer.source for answer in answers]),
        Tensor("reason", "BYTES", [n], [answer.reason or "" for answer in answers]),
        Tensor("bundle_id", "BYTES", [n], [bundle_id] * n),
    ]
