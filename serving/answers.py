"""Answers of the arms, in the shapes of the V1 and V2 protocols.

Only a server with an allocation names experiment, arm and exposure, and the team of each item of an interleaved list.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from serving.arms import Served
from serving.explanations import Explanation
from serving.lists import Item

NO_ITEM_ID, NO_SCORE, NO_INTEREST = "", 0.0, -1  # V2 tensors are rectangular and JSON has no NaN
ARM_FIELDS = ("experiment", "arm", "exposure_id", "request_id")
TEAM = "team"


class Tensor(NamedTuple):
    name: str
    datatype: str
    shape: list[int]
    data: list


def v1_answers(served: Sequence[Served]) -> dict[str, list[dict[str, object]]]:
    return {"predictions": [v1_answer(one) for one in served]}


def v1_answer(served: Served) -> dict[str, object]:
    answer: dict[str, object] = {
        "items": [v1_item(item) for item in served.answer.items],
        "source": served.answer.source,
        "reason": served.answer.reason,
        "bundle_id": served.bundle_id,
    }
    if served.experiment is not None:
        answer |= {name: getattr(served, name) for name in ARM_FIELDS}
    if served.teams is not None:
        pairs = zip(served.answer.items, served.teams, strict=True)
        answer["items"] = [{**v1_item(item), TEAM: team} for item, team in pairs]
    return answer


def v1_item(item: Item) -> dict[str, object]:
    fields = item._asdict()
    if item.explanation is None:
        del fields["explanation"]
    else:
        fields["explanation"] = explanation_of(item.explanation)
    return fields


def explanation_of(explanation: Explanation) -> dict[str, object]:
    events = [event._asdict() for event in explanation.nearest_events]
    return explanation._asdict() | {"nearest_events": events}


def v2_answers(served: Sequence[Served]) -> list[Tensor]:
    """Return n rows of k columns; k is the length of the longest list, and shorter ones are padded with empty ids.

    Explanations, if a query wants them, are JSON texts.
    """
    answers = [one.answer for one in served]
    n, k = len(answers), max(len(answer.items) for answer in answers)
    padding = Item(NO_ITEM_ID, "", NO_SCORE, NO_INTEREST)
    items: list[Item] = []
    for answer in answers:
        items += answer.items + [padding] * (k - len(answer.items))
    scores = [NO_SCORE if item.score is None else item.score for item in items]
    interests = [NO_INTEREST if item.interest is None else item.interest for item in items]
    tensors = [
        Tensor("item_id", "BYTES", [n, k], [item.item_id for item in items]),
        Tensor("score", "FP32", [n, k], scores),
        Tensor("interest", "INT32", [n, k], interests),
        Tensor("source", "BYTES", [n], [answer.source for answer in answers]),
        Tensor("reason", "BYTES", [n], [answer.reason or "" for answer in answers]),
        Tensor("bundle_id", "BYTES", [n], [one.bundle_id for one in served]),
    ]
    explained = [item.explanation for item in items]
    if any(explained):
        texts = ["" if one is None else json.dumps(explanation_of(one)) for one in explained]
        tensors.append(Tensor("explanation", "BYTES", [n, k], texts))
    if served[0].experiment is not None:
        for name in ARM_FIELDS:
            tensors.append(Tensor(name, "BYTES", [n], [getattr(one, name) or "" for one in served]))
        tensors.append(Tensor(TEAM, "BYTES", [n, k], _teams(served, k)))
    return tensors


def _teams(served: Sequence[Served], k: int) -> list[str]:
    teams: list[str] = []
    for one in served:
        own = [team or "" for team in one.teams or ()]
        teams += own + [""] * (k - len(own))
    return teams
