"""V2 requests before and after KServe's decoding; test_app.py has the predictor behind its server."""

import orjson
import pytest
from kserve import InferInput, InferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferTensorContents, ModelInferRequest

from redrec.config import InputError
from serving.v2 import check_message, check_v2, flat_tensors, read_v2

TEXT = b"\x02\0\0\0u1"
USERS = {"name": "user_id", "shape": [1], "datatype": "BYTES", "data": ["u1"]}


def request(*tensors: InferInput) -> InferRequest:
    return InferRequest("redrec", list(tensors))


def binary(sizes: list[object], values: bytes = TEXT) -> tuple[bytes, str]:
    """Return a body with these bytes after its JSON part, and the length of that part."""
    tensors = [
        {"name": "user_id", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
        for size in sizes
    ]
    head = orjson.dumps({"inputs": tensors})
    return head + values, str(len(head))


def test_texts_are_decoded_and_numbers_are_python_values():
    users = InferInput("user_id", [2], "BYTES", ["u1", "Jürgen"])
    assert flat_tensors(request(users, InferInput("k", [2], "INT32", [3, 4]))) == {
        "user_id": ["u1", "Jürgen"],
        "k": [3, 4],
    }


def test_a_repeated_or_wrongly_typed_tensor_is_refused():
    users = InferInput("user_id", [1], "BYTES", ["u1"])
    with pytest.raises(InputError, match="user_id comes once, as BYTES; seen: BYTES"):
        flat_tensors(request(users, users))
    with pytest.raises(InputError, match="k comes once, as INT32; seen: FP32"):
        flat_tensors(request(InferInput("k", [1], "FP32", [3.0])))


@pytest.mark.parametrize(
    ("name", "datatype", "value"),
    [
        ("k", "INT32", 1.9),
        ("k", "INT32", True),
        ("k", "INT32", "3"),
        ("exclude_seen", "BOOL", "False"),
        ("exclude_seen", "BOOL", 1),
        ("user_id", "BYTES", 7),
        ("user_id", "BYTES", None),
        ("user_id", "BYTES", {"u": 1}),
    ],
)
def test_no_value_is_converted_to_the_type_of_its_tensor(name: str, datatype: str, value: object):
    with pytest.raises(InputError, match=f"{name} does not fit {datatype} .*seen: "):
        flat_tensors(request(InferInput(name, [1], datatype, [value])))


@pytest.mark.parametrize(("shape", "data"), [([2], ["u1"]), ([-1, 0], ["u1"]), ([10**12], ["u1"]), (["1"], ["u1"])])
def test_a_shape_that_does_not_fit_its_data_is_refused(shape: list, data: list):
    with pytest.raises(InputError, match="user_id does not fit BYTES"):
        flat_tensors(request(InferInput("user_id", shape, "BYTES", data)))


def test_a_column_of_values_is_a_list_of_them():
    assert flat_tensors(request(InferInput("user_id", [2, 1], "BYTES", [["u1"], ["u2"]]))) == {"user_id": ["u1", "u2"]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "A V2 body is JSON with `inputs`"),
        (b"[" * 100_000, "A V2 body is JSON with `inputs`"),
        (b'{"id": "\\ud800", "inputs": []}', "surrogate"),
        (b"[]", "a JSON object whose `inputs`"),
        (b'{"inputs": [7]}', "a JSON object whose `inputs`"),
        (orjson.dumps({"inputs": [USERS] * 9}), "at most 8 inputs; seen: 9"),
    ],
)
def test_a_body_is_checked_before_it_is_parsed(body: bytes, reason: str):
    with pytest.raises(InputError, match=reason):
        check_v2(body, None)


def test_a_sound_body_passes_with_and_without_binary_values():
    check_v2(orjson.dumps({"inputs": [USERS]}), None)
    check_v2(*binary([6]))
    check_v2(*binary([6, 0]))


@pytest.mark.parametrize("length", ["", "0", "-1", "x", "1e3", "٣", "9" * 5000])
def test_a_lying_length_of_the_head_is_refused(length: str):
    with pytest.raises(InputError, match="Inference-Header-Content-Length is the length"):
        check_v2(binary([6])[0], length)


@pytest.mark.parametrize("sizes", [[7], [5], [-1, 7], [True, 5], ["6"], [6.0], [None], [2**62], []])
def test_lying_sizes_of_binary_tensors_are_refused(sizes: list):
    with pytest.raises(InputError, match="add up to the 6 bytes"):
        check_v2(*binary(sizes))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (b"\x03\0\0\0u1", "do not add up to its 6 bytes"),
        (b"\x02\0\0", "do not add up to its 3 bytes"),
        (b"\xff\xff\xff\xffu1", "do not add up to its 6 bytes"),
        (bytes(2_000_000), "one length n of 1 to 64; seen: user_id 65"),
    ],
)
def test_texts_that_lie_about_their_lengths_or_are_too_many_are_refused(values: bytes, reason: str):
    with pytest.raises(InputError, match=reason):
        check_v2(*binary([len(values)], values))
    message = ModelInferRequest(inputs=[tensor("user_id", "BYTES"), tensor("scenario", "BYTES")])
    message.raw_input_contents.extend([values, TEXT])
    with pytest.raises(InputError, match=reason):
        check_message(message)


def tensor(name: str, datatype: str, **contents: list) -> ModelInferRequest.InferInputTensor:
    filled = InferTensorContents(**contents) if contents else None
    return ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=[1], contents=filled)


USER, SCENARIO = (
    tensor("user_id", "BYTES", bytes_contents=[b"u1"]),
    tensor("scenario", "BYTES", bytes_contents=[b"ads"]),
)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ([USER] * 9, "at most 8 inputs; seen: 9"),
        ([USER, USER], "user_id comes once, as BYTES; seen: BYTES"),
        ([USER, SCENARIO, tensor("k", "INT64", int64_contents=[3])], "k comes once, as INT32; seen: INT64"),
        ([USER], "the first two required; seen: user_id"),
        ([USER, SCENARIO, tensor("color", "FP16")], "seen: color"),
        ([USER, SCENARIO, tensor("k", "INT32", int_contents=[3, 4])], "scenario 1, k 2"),
        ([USER, SCENARIO, tensor("k", "INT32", int_contents=[3] * 100_000)], "k 100000"),
    ],
)
def test_a_message_with_other_tensors_than_allowed_is_refused(tensors: list, reason: str):
    with pytest.raises(InputError, match=reason):
        check_message(ModelInferRequest(inputs=tensors))


def test_a_message_gives_the_same_values_with_and_without_binary_ones():
    number = tensor("k", "INT32", int_contents=[3])
    message = ModelInferRequest(inputs=[USER, SCENARIO, number])
    check_message(message)
    expected = flat_tensors(InferRequest.from_grpc(message))
    assert expected == {"user_id": ["u1"], "scenario": ["ads"], "k": [3]}
    bare = [tensor("user_id", "BYTES"), tensor("scenario", "BYTES"), tensor("k", "INT32")]
    raw = ModelInferRequest(inputs=bare, raw_input_contents=[TEXT, b"\x03\0\0\0ads", b"\x03\0\0\0"])
    check_message(raw)
    assert flat_tensors(InferRequest.from_grpc(raw)) == expected


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xed\xa0\x80"])
def test_a_text_that_is_no_utf_8_is_refused(text: bytes):
    message = ModelInferRequest(inputs=[tensor("user_id", "BYTES", bytes_contents=[text])])
    with pytest.raises(InputError, match="The request cannot be read: UnicodeDecodeError"):
        flat_tensors(InferRequest.from_grpc(message))


@pytest.mark.parametrize("name", [[], {}, 7, None])
def test_a_name_that_is_no_text_is_refused(name: object):
    with pytest.raises(InputError, match="comes once"):
        flat_tensors(request(InferInput(name, [1], "BYTES", ["u1"])))


def test_v2_rows_are_the_same_instances():
    rows = read_v2({"user_id": ["u1", "u2"], "scenario": ["ads", "ads"], "k": [3, 4], "category": ["", "tools"]})
    assert rows == [
        {"user_id": "u1", "scenario": "ads", "k": 3},
        {"user_id": "u2", "scenario": "ads", "k": 4, "category": "tools"},
    ]


@pytest.mark.parametrize(
    ("tensors", "allowed"),
    [
        ({"user_id": ["u"]}, "the first two required; seen: user_id"),
        ({"user_id": ["u"], "scenario": ["ads"], "color": ["red"]}, "seen: color"),
        ({"user_id": ["u"], "scenario": ["ads", "ads"]}, "one length n of 1 to 64; seen: user_id 1, scenario 2"),
        ({"user_id": ["u"] * 65, "scenario": ["ads"] * 65}, "one length n of 1 to 64; seen: user_id 65"),
        ({"user_id": ["u"], "scenario": ["ads"], "history": ["[{"]}, "no JSON list of events"),
        ({"user_id": ["u"], "scenario": ["ads"], "history": ["[" * 100_000]}, "no JSON list of events"),
    ],
)
def test_malformed_v2_inputs_are_refused_with_what_is_allowed(tensors, allowed: str):
    with pytest.raises(InputError, match=allowed):
        read_v2(tensors)
