"""Bodies of the HTTP interface, for /openapi.json; requests are checked by `serving.requests`, answers not again."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from redrec.experiments.decisions import Verdict
from redrec.experiments.team_draft import Team
from serving.requests import MAX_INSTANCES, Query

MAX_EVENTS = 10_000  # of one request


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class V1Request(Body):
    """Queries of one or many users."""

    instances: list[Query] = Field(min_length=1, max_length=MAX_INSTANCES)


class TensorBody(BaseModel):
    """Values of all instances, the first axis; with binary data, `parameters` has its size and `data` is absent."""

    name: str
    shape: list[NonNegativeInt]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class V2Request(BaseModel):
    """Queries of one or many users, one tensor per field of a query."""

    inputs: list[TensorBody]


class V2Answer(BaseModel):
    """Predictions in the order of the queries, one tensor per field of an item, or of a prediction."""

    model_name: str
    outputs: list[TensorBody]


class HistoryEvent(Body):
    """The newest event of the user's history with an item."""

    item_id: str
    scenario: str
    timestamp_ms: int = Field(description="milliseconds since 1970")
    cosine: float = Field(description="between the two items: 1 would be the same")


class ItemExplanation(Body):
    """Why an item is in a list. Cosine and boosts add up to the score of the search; a ranker may move the item."""

    cosine: float = Field(description="between the item and the interest or medoid that is nearest to it")
    recent_popularity: float = Field(description="what the popularity boost added")
    own_items: float = Field(description="what the boost of the user's own items added")
    moved_by_ranker: int = Field(description="positions up in the list; negative: down; 0: not moved")
    nearest_events: list[HistoryEvent] = Field(description="nearest first, one per item that the user had, at most 3")


class RecommendedItem(Body):
    item_id: str
    title: str | None
    score: float | None = Field(description="null in a fallback")
    interest: int | None = Field(
        description="number of the user's interest, or medoid, that found the item; null in a fallback"
    )
    explanation: ItemExplanation | None = Field(
        default=None, description="absent if the query does not say `explain`, and in a fallback"
    )
    team: Team | None = Field(default=None, description="of an interleaved list: the arm that a click is credited to")


class Prediction(Body):
    items: list[RecommendedItem] = Field(description="best first")
    source: Literal["model", "exact", "medoid", "fallback"]
    reason: str | None = Field(description="why the source is not `model`, or the arm not the user's own")
    bundle_id: str = Field(description="of an interleaved list the control's and the treatment's, with + between them")
    experiment: str | None = Field(default=None, description="absent from a server without an allocation")
    arm: str | None = Field(default=None, description="that answered; null of an interleaved list, or absent")
    exposure_id: str | None = Field(default=None, description="null or absent: the answer is no exposure")
    request_id: str | None = Field(default=None, description="of an interleaved list, to log clicks by; null or absent")


class V1Answer(Body):
    """One prediction per query, in their order."""

    predictions: list[Prediction]


class NewEvent(Body):
    """An event of the log."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user_id: str
    item_id: str
    scenario: str
    action: str
    timestamp_ms: int = Field(description="milliseconds since 1970")


NewEvents = Annotated[list[NewEvent], Field(min_length=1, max_length=MAX_EVENTS)]


class PushAnswer(Body):
    """What became of the events; a refused one does not hold up the others."""

    added: int
    known: int = Field(description="stored before")
    late: int = Field(description="older than all that are kept")
    refused: dict[str, list[NewEvent]] = Field(description="by reason")


class NewestDecision(Body):
    """What the gate decided last."""

    experiment: str
    scenario: str
    plan_hash: str
    verdict: Verdict
    rule: str
    reason: str
    look: int = Field(description="days after the start")


class Error(Body):
    """Why there is no answer."""

    error: str
