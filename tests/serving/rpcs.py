"""Calls of the V2 protocol by gRPC, with a client that is not ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from grpc import aio
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from serving.v2 import INPUTS

FIELDS = {"BYTES": "bytes_contents", "INT32": "int_contents", "BOOL": "bool_contents", "FP32": "fp32_contents"}
NUMBERS = {"INT32": np.int32, "BOOL": np.bool_, "FP32": np.float32}
Tensor = ModelInferRequest.InferInputTensor


@contextmanager
def stub_of(address: str, **options: Any) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(address, **options) as channel:
        yield GRPCInferenceServiceStub(channel)


def request_of(is_raw: bool = False, **values: list) -> ModelInferRequest:
    """Return a request of tensors with these values, in binary form if wanted."""
    request = ModelInferRequest(model_name="redrec", id="request-7")
    for name, of_users in values.items():
        datatype = INPUTS[name]
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(of_users)])
        if is_raw:
            request.raw_input_contents.append(packed(datatype, of_users))
        else:
            encoded = [value.encode() if isinstance(value, str) else value for value in of_users]
            tensor.contents.CopyFrom(InferTensorContents(**{FIELDS[datatype]: encoded}))
    return request


def packed(datatype: str, values: list) -> bytes:
    if datatype == "BYTES":
        texts = [value.encode() for value in values]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return np.array(values, NUMBERS[datatype]).tobytes()


def values_of(response: ModelInferResponse) -> dict[str, list]:
    """Return each output as a flat list."""
    outputs = {}
    for number, output in enumerate(response.outputs):
        if response.raw_output_contents:
            outputs[output.name] = unpacked(output.datatype, response.raw_output_contents[number])
        else:
            values = list(getattr(output.contents, FIELDS[output.datatype]))
            outputs[output.name] = [value.decode() if isinstance(value, bytes) else value for value in values]
        assert len(outputs[output.name]) == np.prod(output.shape), output.name
    return outputs


def unpacked(datatype: str, content: bytes) -> list:
    if datatype != "BYTES":
        return np.frombuffer(content, NUMBERS[datatype]).tolist()
    texts, start = [], 0
    while start < len(content):
        end = start + 4 + int.from_bytes(content[start : start + 4], "little")
        texts.append(content[start + 4 : end].decode())
        start = end
    return texts


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[grpc.StatusCode, str]:
    """Return the status and the reason of a call that fails."""
    try:
        call(*arguments, timeout=30, **options)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("it was answered")


async def refusal_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return the same of a call that is awaited."""
    try:
        await call
    except aio.AioRpcError as error:
        return error.code(), error.details()
    raise AssertionError("it was answered")
