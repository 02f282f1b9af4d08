"""The checked data plane alone; test_app.py has it in a running server."""

import pytest
from kserve.errors import InvalidInput
from kserve.model_repository import ModelRepository

from serving.model_server import CheckedDataPlane


@pytest.mark.parametrize(
    "head",
    [b'{"inputs": [{}]}', b"[]", b'{"inputs": 7}', b'{"inputs": [{"name": "k", "shape": [1], "datatype": "INT32"}]}'],
)
def test_what_kserves_decoding_raises_is_the_callers_fault(head: bytes):
    headers = {"inference-header-content-length": str(len(head))}
    with pytest.raises(InvalidInput):
        CheckedDataPlane(ModelRepository()).decode(head, headers, "v2", "redrec")
