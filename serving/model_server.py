"""Model server: KServe's, with what redrec does not offer closed.

There is one worker, because KServe's further workers crash-loop on slow imports and pickle the model: scale by
replicas. It runs on asyncio's own event loop: with uvloop 0.23 new connections wait so long under a tenfold overload
that thousands are lost, and one request takes no less CPU. The load and unload routes of KServe's public port are
closed: a new revision replaces a bundle.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

import kserve.model_server
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from kserve import ModelServer
from kserve.errors import InvalidInput, ModelNotReady
from kserve.model import BaseKServeModel
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from prometheus_client import start_http_server

from redrec.config import InputError
from serving.address import Addresses
from serving.connections import IDLE_SECONDS, TimedProtocol
from serving.grpc_server import GuardedGrpc
from serving.predictor import MAX_REASON, Predictor
from serving.room import Room
from serving.shedding import Admission, Shedding
from serving.v2 import decoding

GRACE_SECONDS = 10  # several times the sum of all stages' budgets
METRICS = "/metrics"


class ClosedRepository(ModelRepositoryExtension):
    async def load(self, model_name: str) -> None:
        raise NotImplementedError(f"Loading {model_name} is closed. Roll out a new revision.")

    async def unload(self, model_name: str) -> None:
        raise NotImplementedError(f"Unloading {model_name} is closed. Scale the deployment.")


class CheckedDataPlane(DataPlane):
    def decode(self, *arguments: Any, **options: Any) -> Any:
        """Return the request; whatever KServe's own decoding meets in a body is the caller's fault."""
        try:
            with decoding():
                return super().decode(*arguments, **options)
        except InputError as error:
            raise InvalidInput(str(error)[:MAX_REASON]) from error

    async def get_model(self, name: str) -> BaseKServeModel:
        """Return a model that is ready; KServe's own would load another one meanwhile, for gRPC on the event loop."""
        if not await self.model_ready(name):
            raise ModelNotReady(name)
        return await super().get_model(name)


class DrainedServer(ModelServer):
    """Stops the models after gRPC's last answer; uvicorn calls `stop` after HTTP's."""

    _grpc_server: GuardedGrpc | None

    def stop(self, sig: int) -> None:
        self.stopping = asyncio.create_task(self._stop(sig))  # the loop itself keeps no reference

    async def _stop(self, sig: int) -> None:
        if self._grpc_server is not None:
            await self._grpc_server.stop(sig)
            self._grpc_server = None  # KServe would stop it again
        super().stop(sig)


def run_server(predictor: Predictor, addresses: Addresses, room: Room) -> None:
    """Serve a loaded predictor until SIGTERM or SIGINT."""
    http, grpc, metrics = addresses
    admission = Admission(predictor.waiting, predictor.config.max_waiting)

    class Server(RESTServer):
        """KServe's own listens on every host, has its metrics on the port of the protocols, and never sheds load."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.config.host, self.config.http = http.host, TimedProtocol
            self.config.app = Shedding(kserve.model_server.app, admission)

        def _add_middlewares(self, app: FastAPI) -> None:
            """Leave KServe's out: it times each request, 15 % of its own CPU, for a log that is off."""

        def _register_endpoints(self, app: FastAPI) -> None:
            super()._register_endpoints(app)
            if metrics is not None:
                remove_route(app, METRICS)

        def _add_exception_handlers(self, app: FastAPI) -> None:
            super()._add_exception_handlers(app)
            app.add_exception_handler(NotImplementedError, not_offered)

    if metrics is not None:
        start_http_server(metrics.port, metrics.host)
    kserve.model_server.RESTServer = Server
    if grpc is not None:
        kserve.model_server.GRPCServer = partial(GuardedGrpc, grpc.host, admission, room)
    server = DrainedServer(
        http_port=http.port,
        grpc_port=None if grpc is None else grpc.port,
        enable_grpc=grpc is not None,
        enable_latency_logging=False,
        workers=1,
        grace_period=GRACE_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
    )
    server.dataplane = CheckedDataPlane(server.registered_models)
    server.model_repository_extension = ClosedRepository(server.registered_models)
    server.start([predictor])


async def not_offered(_: Request, error: Exception) -> JSONResponse:
    """Answer a request for what is closed, or for a version; KServe's own is a 501, with a traceback in the log."""
    return JSONResponse({"error": str(error)}, HTTPStatus.BAD_REQUEST)


def remove_route(app: FastAPI, path: str) -> None:
    """Remove a route of a router that the app includes."""
    routers = [route.original_router for route in app.routes if hasattr(route, "original_router")]
    for router in routers:
        for route in [route for route in router.routes if getattr(route, "path", None) == path]:
            router.routes.remove(route)
