"""The checked data plane alone; test_app.py has it in a running server."""

import asyncio
from pathlib import Path

import pytest
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.model_repository import ModelRepository

from serving.config import ServingConfig
from serving.model_server import CheckedDataPlane
from serving.predictor import Predictor


@pytest.mark.parametrize(
    "head",
    [b'{"inputs": [{}]}', b"[]", b'{"inputs": 7}', b'{"inputs": [{"name": "k", "shape": [1], "datatype": "INT32"}]}'],
)
def test_what_kserves_decoding_raises_is_the_callers_fault(head: bytes):
    headers = {"inference-header-content-length": str(len(head))}
    with pytest.raises(InvalidInput):
        CheckedDataPlane(ModelRepository()).decode(head, headers, "v2", "redrec")


def test_a_model_that_is_not_ready_is_not_loaded_by_a_request():
    """The folder is none, so loading would fail."""
    models = ModelRepository()
    models.update(Predictor("redrec", Path("nowhere"), None, ServingConfig()))
    with pytest.raises(ModelNotReady):
        asyncio.run(CheckedDataPlane(models).infer("redrec", {}))
    with pytest.raises(ModelNotFound):
        asyncio.run(CheckedDataPlane(models).infer("other", {}))
