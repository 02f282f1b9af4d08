"""Model server: KServe's, with what redrec does not offer closed.

There is one worker, because KServe's further workers crash-loop on slow imports and pickle the model: scale by
replicas. It runs on asyncio's own event loop: with uvloop 0.23 new connections wait so long under a tenfold overload
that thousands are lost, and one request takes no less CPU. The load and unload routes of KServe's public port are
closed: a new revision replaces a bundle.
"""

import struct
from typing import Any

import kserve.model_server
from fastapi import FastAPI
from kserve import ModelServer
from kserve.errors import InvalidInput
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from prometheus_client import start_http_server

from serving.address import Address
from serving.connections import IDLE_SECONDS, TimedProtocol
from serving.predictor import MAX_REASON, Predictor
from serving.shedding import Shedding

DECODING_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, struct.error)
GRACE_SECONDS = 10  # several times the sum of all stages' budgets
METRICS = "/metrics"


class ClosedRepository(ModelRepositoryExtension):
    async def load(self, model_name: str) -> None:
        raise NotImplementedError(f"Loading {model_name} over HTTP is closed. Roll out a new revision.")

    async def unload(self, model_name: str) -> None:
        raise NotImplementedError(f"Unloading {model_name} over HTTP is closed. Scale the deployment.")


class CheckedDataPlane(DataPlane):
    def decode(self, *arguments: Any, **options: Any) -> Any:
        """Return the request; whatever KServe's own decoding meets in a body is the caller's fault."""
        try:
            return super().decode(*arguments, **options)
        except InvalidInput:
            raise
        except DECODING_ERRORS as error:
            raise InvalidInput(f"The request cannot be read: {type(error).__name__}: {error}"[:MAX_REASON]) from error


def run_server(predictor: Predictor, address: Address, metrics: Address | None) -> None:
    """Serve a loaded predictor until SIGTERM or SIGINT; its metrics at an address of their own, if one is given."""

    class Server(RESTServer):
        """KServe's own listens on every host, has its metrics on the port of the protocols, and never sheds load."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.config.host, self.config.http = address.host, TimedProtocol
            self.config.app = Shedding(kserve.model_server.app, predictor.waiting, predictor.config.max_waiting)

        def _register_endpoints(self, app: FastAPI) -> None:
            super()._register_endpoints(app)
            if metrics is not None:
                remove_route(app, METRICS)

    if metrics is not None:
        start_http_server(metrics.port, metrics.host)
    kserve.model_server.RESTServer = Server
    server = ModelServer(
        http_port=address.port,
        enable_grpc=False,
        enable_latency_logging=False,
        workers=1,
        grace_period=GRACE_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
    )
    server.dataplane = CheckedDataPlane(server.registered_models)
    server.model_repository_extension = ClosedRepository(server.registered_models)
    server.start([predictor])


def remove_route(app: FastAPI, path: str) -> None:
    """Remove a route of a router that the app includes."""
    routers = [route.original_router for route in app.routes if hasattr(route, "original_router")]
    for router in routers:
        for route in [route for route in router.routes if getattr(route, "path", None) == path]:
            router.routes.remove(route)
