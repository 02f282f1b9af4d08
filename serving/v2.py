"""V2 requests: KServe's tensors as instances, and what a body must be before KServe parses it.

KServe's own decoding takes any number of tensors, converts values to a tensor's type (1.9 becomes 1, the text "False"
true) and fails on sizes that do not add up. So the JSON part of a body is checked first, and each value for its type.
"""

from collections.abc import Mapping

import numpy as np
import orjson
from kserve import InferInput, InferRequest

from redrec.config import InputError
from serving.requests import MAX_INSTANCES, MAX_SHOWN

INPUTS = {
    "user_id": "BYTES",
    "scenario": "BYTES",
    "k": "INT32",
    "history": "BYTES",  # a JSON list of events
    "exclude_seen": "BOOL",
    "category": "BYTES",
    "explain": "BOOL",
    "request_id": "BYTES",
}
REQUIRED = {"user_id", "scenario"}
TYPES: dict[str, type] = {"BYTES": str, "INT32": int, "BOOL": bool}
SIZE = "binary_data_size"


def check_v2(body: bytes, json_length: str | None) -> None:
    """Check a V2 body; with the length of its JSON part, the binary values of its tensors follow that.

    Raises:
        InputError: It is no V2 request, or has other tensors or sizes than it may.
    """
    num_json = len(body) if json_length is None else checked_length(json_length, len(body))
    try:
        document = orjson.loads(body[:num_json])
    except orjson.JSONDecodeError as error:
        raise InputError(f"A V2 body is JSON with `inputs`; seen: {body[:MAX_SHOWN]!r} ({error}).") from error
    tensors = document.get("inputs") if isinstance(document, dict) else None
    if not isinstance(tensors, list) or not all(isinstance(tensor, dict) for tensor in tensors):
        raise InputError("A V2 body is a JSON object whose `inputs` are a list of tensors.")
    if len(tensors) > len(INPUTS):
        raise InputError(f"A V2 request has at most {len(INPUTS)} inputs; seen: {len(tensors):,}.")
    if json_length is not None:
        check_sizes(tensors, len(body) - num_json)


def checked_length(json_length: str, num_bytes: int) -> int:
    """Return the length of the JSON part; it is one of the body's bytes."""
    if not json_length.isascii() or not json_length.isdigit() or not 0 < int(json_length[:MAX_SHOWN]) <= num_bytes:
        raise InputError(
            f"Inference-Header-Content-Length is the length of the body's JSON part, 1 to {num_bytes}; seen: "
            f"{json_length[:MAX_SHOWN]!r}."
        )
    return int(json_length)


def check_sizes(tensors: list[dict], num_binary: int) -> None:
    """Check that the sizes of the binary tensors add up to the bytes that follow the JSON part."""
    parameters = [tensor.get("parameters") or {} for tensor in tensors]
    sizes = [each[SIZE] for each in parameters if isinstance(each, dict) and SIZE in each]
    if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) != num_binary:
        raise InputError(
            f"The {SIZE} of all inputs are whole numbers that add up to the {num_binary} bytes after the JSON part; "
            f"seen: {str(sizes)[:MAX_SHOWN]}."
        )


def flat_tensors(request: InferRequest) -> dict[str, list]:
    """Return V2 inputs as flat lists of Python values."""
    tensors: dict[str, list] = {}
    for tensor in request.inputs:
        name = str(tensor.name)[:MAX_SHOWN]
        expected = INPUTS.get(tensor.name, tensor.datatype)  # read_v2 reports unknown names
        if tensor.datatype != expected or tensor.name in tensors:
            raise InputError(f"V2 input {name} comes once, as {expected}; seen: {str(tensor.datatype)[:MAX_SHOWN]}.")
        tensors[tensor.name] = flat_values(tensor, name)
    return tensors


def flat_values(tensor: InferInput, name: str) -> list:
    fault = f"V2 input {name} does not fit {tensor.datatype} {str(tensor.shape)[:MAX_SHOWN]}"
    try:
        values = np.array(tensor.data, dtype=object).reshape(tensor.shape).ravel().tolist()
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{fault}: {error}.") from error
    for value in values:
        if type(value) is not TYPES.get(tensor.datatype):
            raise InputError(f"{fault}: seen: {str(value)[:MAX_SHOWN]!r}, {type(value).__name__}.")
    return values


def read_v2(tensors: Mapping[str, list]) -> list[dict[str, object]]:
    """Return one mapping per row of V2's tensors, each a flat list; an empty text is an absent value."""
    names = set(tensors)
    if not REQUIRED <= names <= set(INPUTS):
        raise InputError(
            f"V2 inputs are {', '.join(f'{name} {datatype}[n]' for name, datatype in INPUTS.items())}, "
            f"the first two required; seen: {', '.join(sorted(names))[:MAX_SHOWN] or 'none'}."
        )
    lengths = {name: len(values) for name, values in tensors.items()}
    if len(set(lengths.values())) > 1 or max(lengths.values()) > MAX_INSTANCES:
        raise InputError(
            f"V2 inputs have one length n of 1 to {MAX_INSTANCES}; seen: "
            f"{', '.join(f'{n} {size}' for n, size in lengths.items())}."
        )
    rows = [dict(zip(tensors, values, strict=True)) for values in zip(*tensors.values(), strict=True)]
    return [_instance_of(row) for row in rows]


def _instance_of(row: Mapping[str, object]) -> dict[str, object]:
    instance = {name: value for name, value in row.items() if value != ""}
    if "history" in instance:
        instance["history"] = read_history(instance["history"])
    return instance


def read_history(text: object) -> object:
    try:
        return orjson.loads(str(text))
    except orjson.JSONDecodeError as error:
        raise InputError(f"history is no JSON list of events: {error}.") from error
