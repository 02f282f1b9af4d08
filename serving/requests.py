"""Requests: bounded and checked queries, from the instances of either protocol (`serving.v2` reads V2's).

Both protocols give the same mapping per instance, and one check reads it, so they cannot differ. A mistake is an
InputError that names the instance, what was seen, and what is allowed.
"""

from typing import Annotated

import orjson
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo

from redrec.config import Config, InputError, validated
from redrec.data.validity import id_fault, time_fault, word_fault
from redrec.history import Vocabulary, now_ms

MAX_INSTANCES = 64
MAX_K = 1000
MAX_HISTORY = 2000
MAX_HISTORIES = 5000  # events of a request, of all its instances; 50 CPU ms to check
MAX_CATEGORY = 1024
MAX_SHOWN = 80  # characters of a caller's text in an error


def valid_id(text: str, field: ValidationInfo) -> str:
    """Return an id as it was given, if it is valid."""
    fault = id_fault(str(field.field_name), text)
    if fault:
        raise ValueError(f"{fault}; seen: {text[:MAX_SHOWN]!r}")
    return text


def valid_time(timestamp_ms: int) -> int:
    fault = time_fault(timestamp_ms, now_ms())
    if fault:
        raise ValueError(f"{fault}; seen: {timestamp_ms}")
    return timestamp_ms


Id = Annotated[str, AfterValidator(valid_id)]


class Event(Config):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item_id: Id
    action: str
    scenario: str
    timestamp_ms: Annotated[int, AfterValidator(valid_time)]


class Query(Config):
    """One instance: the user, the scenario, the number of items, which items to leave out, and the request's own id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    user_id: Id
    scenario: str
    k: int = Field(default=10, ge=1, le=MAX_K)
    history: list[Event] | None = Field(default=None, max_length=MAX_HISTORY)  # absent: the feature store's
    exclude_seen: bool | None = None  # absent: as the scenario does (`redrec.evaluation.seen_items`)
    category: str | None = Field(default=None, min_length=1, max_length=MAX_CATEGORY)
    explain: bool = False  # why each item is in the list (`serving.explanations`)
    request_id: Id | None = None  # of an interleaved list, which is the same for one id; absent: the server gives one


def parse_instances(instances: object, vocabulary: Vocabulary) -> list[Query]:
    """Return one checked query per instance.

    Raises:
        InputError: The reason, for the caller.
    """
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_INSTANCES:
        seen = f"{len(instances)} of them" if isinstance(instances, list) else type(instances).__name__
        raise InputError(f"`instances` is a list of 1 to {MAX_INSTANCES} objects, not {seen}.")
    num_events = sum(map(num_events_of, instances))
    if num_events > MAX_HISTORIES:
        raise InputError(
            f"The histories of a request have at most {MAX_HISTORIES:,} events in all; seen: {num_events:,}. Ask for "
            "fewer users at once."
        )
    return [parse_instance(instance, f"instances[{i}]", vocabulary) for i, instance in enumerate(instances)]


def num_events_of(instance: object) -> int:
    """Return how many events an instance has, before it is checked."""
    history = instance.get("history") if isinstance(instance, dict) else None
    return len(history) if isinstance(history, list) else 0


def parse_instance(instance: object, name: str, vocabulary: Vocabulary) -> Query:
    if not isinstance(instance, dict):
        raise InputError(
            f"{name} is {type(instance).__name__}; allowed is an object with {', '.join(Query.model_fields)}."
        )
    query = validated(Query, instance, name)
    require_known("scenario", query.scenario, vocabulary.scenarios, name)
    for i, event in enumerate(query.history or ()):
        require_known("scenario", event.scenario, vocabulary.scenarios, f"{name}: history[{i}]")
        require_known("action", event.action, vocabulary.actions, f"{name}: history[{i}]")
    return query


def require_known(field: str, value: str, known: tuple[str, ...], name: str) -> None:
    fault = word_fault(field, value, known)
    if fault:
        raise InputError(f"{name}: {fault}; seen: {value[:MAX_SHOWN]!r}.")


def read_v1(body: object) -> object:
    """Return the `instances` of a V1 body; without a JSON content type, as from `curl -d`, it comes as bytes."""
    if isinstance(body, bytes):
        body = _decoded(body)
    if not isinstance(body, dict) or set(body) != {"instances"}:
        seen = ", ".join(map(str, body))[:MAX_SHOWN] if isinstance(body, dict) else type(body).__name__
        raise InputError(f'A V1 body is JSON {{"instances": [...]}} and nothing else; seen: {seen or "no keys"}.')
    return body["instances"]


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f'A V1 body is JSON {{"instances": [...]}}; seen: {body[:MAX_SHOWN]!r} ({error}).') from error
