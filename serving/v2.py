"""V2 requests: KServe's tensors as instances, and what a body or gRPC message must be before KServe decodes it.

KServe's own decoding takes any number of tensors and values, converts values to a tensor's type (1.9 becomes 1, the
text "False" true) and fails on sizes that do not add up. So the JSON part of a body, or the message, is checked first,
and each value for its type.
"""

import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import orjson
from kserve import InferInput, InferRequest
from kserve.errors import InvalidInput
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferTensorContents, ModelInferRequest

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
BYTES_OF_NUMBER = {"INT32": 4, "BOOL": 1}
NUM_PREFIX = 4  # bytes before each text of a binary tensor, its length
DECODING_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, struct.error)


@contextmanager
def decoding() -> Iterator[None]:
    """Return a context in which whatever KServe's own decoding meets in a request is the caller's fault.

    Raises:
        InputError: What it met.
    """
    try:
        yield
    except InvalidInput as error:
        raise InputError(error.reason) from error
    except DECODING_ERRORS as error:
        raise InputError(f"The request cannot be read: {type(error).__name__}: {error}") from error


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
    check_num_tensors(len(tensors))
    if json_length is not None:
        check_sizes(tensors, len(body) - num_json)
        check_texts(tensors, body[num_json:])


def check_num_tensors(num_tensors: int) -> None:
    if num_tensors > len(INPUTS):
        raise InputError(f"A V2 request has at most {len(INPUTS)} inputs; seen: {num_tensors:,}.")


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
    sizes = [size_of(tensor) for tensor in tensors if has_size(tensor)]
    if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) != num_binary:
        raise InputError(
            f"The {SIZE} of all inputs are whole numbers that add up to the {num_binary} bytes after the JSON part; "
            f"seen: {str(sizes)[:MAX_SHOWN]}."
        )


def has_size(tensor: dict) -> bool:
    parameters = tensor.get("parameters")
    return isinstance(parameters, dict) and SIZE in parameters


def size_of(tensor: dict) -> int:
    """Return what a tensor says is its size; `check_sizes` says whether it is one."""
    size: int = tensor["parameters"][SIZE]
    return size


def check_texts(tensors: list[dict], binary: bytes) -> None:
    """Check the texts of the binary tensors, which follow one another."""
    start = 0
    for tensor in tensors:
        if has_size(tensor) and tensor.get("data") is None:
            values = binary[start : start + size_of(tensor)]
            start += len(values)
            if str(tensor.get("datatype")).upper() == "BYTES":
                name = str(tensor.get("name"))[:MAX_SHOWN]
                check_lengths({name: num_texts(values, name)})


def num_texts(values: bytes, name: str) -> int:
    """Return how many texts a binary tensor has; those beyond one more than a request may have are not counted."""
    num, start = 0, 0
    while start < len(values) and num <= MAX_INSTANCES:
        num, start = num + 1, start + NUM_PREFIX + int.from_bytes(values[start : start + NUM_PREFIX], "little")
    if start > len(values):
        raise InputError(
            f"V2 input {name} has BYTES whose lengths do not add up to its {len(values)} bytes; each text "
            f"comes after its length, {NUM_PREFIX} bytes with the lowest first."
        )
    return num


def check_message(request: ModelInferRequest) -> None:
    """Check a gRPC message, before KServe makes lists of its values.

    Raises:
        InputError: It has other tensors than it may, or other numbers of values.
    """
    check_num_tensors(len(request.inputs))
    names: list[str] = []
    for tensor in request.inputs:
        check_tensor(tensor.name, tensor.datatype, names)
        names.append(tensor.name)
    check_names(names)
    if request.raw_input_contents:  # KServe refuses another number of them than of inputs
        pairs = zip(request.inputs, request.raw_input_contents, strict=False)
        check_lengths({tensor.name: num_values(tensor.name, tensor.datatype, values) for tensor, values in pairs})
    else:
        check_lengths({tensor.name: num_contents(tensor.contents) for tensor in request.inputs})


def num_contents(contents: InferTensorContents) -> int:
    """Return how many values a tensor has, of whatever type."""
    return sum(len(values) for _, values in contents.ListFields())


def num_values(name: str, datatype: str, values: bytes) -> int:
    """Return how many values a binary tensor has."""
    return num_texts(values, name) if datatype == "BYTES" else len(values) // BYTES_OF_NUMBER[datatype]


def flat_tensors(request: InferRequest) -> dict[str, list]:
    """Return V2 inputs as flat lists of Python values."""
    tensors: dict[str, list] = {}
    for tensor in request.inputs:
        check_tensor(tensor.name, tensor.datatype, tensors)
        if request.from_grpc:
            decode_values(tensor, is_raw=request.use_binary_outputs)
        tensors[tensor.name] = flat_values(tensor, str(tensor.name)[:MAX_SHOWN])
    return tensors


def check_tensor(name: str, datatype: str, names_before: Collection[str]) -> None:
    expected = INPUTS.get(str(name), datatype)  # check_names reports unknown names
    if not isinstance(name, str) or datatype != expected or name in names_before:
        shown = str(name)[:MAX_SHOWN]
        raise InputError(f"V2 input {shown} comes once, as {expected}; seen: {str(datatype)[:MAX_SHOWN]}.")


def decode_values(tensor: InferInput, is_raw: bool) -> None:
    """Give a tensor that came by gRPC its values as KServe does with one that came by HTTP."""
    with decoding():
        if is_raw:
            tensor.set_data_from_numpy(tensor.as_numpy(), binary_data=False)
        elif tensor.datatype == "BYTES":
            tensor.data = [text.decode() for text in tensor.data]


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
    check_names(tensors)
    check_lengths({name: len(values) for name, values in tensors.items()})
    rows = [dict(zip(tensors, values, strict=True)) for values in zip(*tensors.values(), strict=True)]
    return [_instance_of(row) for row in rows]


def check_names(names: Collection[str]) -> None:
    if not REQUIRED <= set(names) <= set(INPUTS):
        raise InputError(
            f"V2 inputs are {', '.join(f'{name} {datatype}[n]' for name, datatype in INPUTS.items())}, "
            f"the first two required; seen: {', '.join(sorted(names))[:MAX_SHOWN] or 'none'}."
        )


def check_lengths(lengths: Mapping[str, int]) -> None:
    if len(set(lengths.values())) > 1 or max(lengths.values()) > MAX_INSTANCES:
        raise InputError(
            f"V2 inputs have one length n of 1 to {MAX_INSTANCES}; seen: "
            f"{', '.join(f'{n} {size}' for n, size in lengths.items())}."
        )


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
