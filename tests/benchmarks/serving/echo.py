"""KServe alone: its model server, without a log, around a model that always gives the same answer.

    python -m tests.benchmarks.serving.echo 8080 8081 answers.json

The file has the answers of a server with redrec's predictor, so what KServe encodes is as long.
"""

import json
import logging.config
import sys
from pathlib import Path
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from serving.logs import logging_config


class Echo(Model):
    """`v1` is a body, `v2` a list of outputs."""

    def __init__(self, v1: dict[str, Any], v2: list[dict[str, Any]]) -> None:
        super().__init__("redrec")
        self.v1, self.v2, self.ready = v1, v2, True

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        if not isinstance(payload, InferRequest):
            return self.v1
        return InferResponse(payload.id or "", self.name, [InferOutput(**output) for output in self.v2])


def main() -> None:
    http_port, grpc_port, answers = int(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    logging.config.dictConfig(logging_config("text"))
    server = ModelServer(http_port=http_port, grpc_port=grpc_port, enable_latency_logging=False, workers=1)
    server.start([Echo(answers["v1"], answers["v2"])])


if __name__ == "__main__":
    main()
