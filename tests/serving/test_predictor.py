"""V2 inputs as flat lists; test_app.py has the predictor behind its server."""

import pytest
from kserve import InferInput, InferRequest

from redrec.config import InputError
from serving.predictor import flat_tensors


def request(*tensors: InferInput) -> InferRequest:
    return InferRequest("redrec", list(tensors))


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
