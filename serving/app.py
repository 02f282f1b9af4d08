"""App: the routes of the server around one bundle."""

import asyncio
import logging
import logging.config
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import fastapi
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve.model_server import app

from serving.address import Address, Addresses
from serving.arms import TwoArms
from serving.config import ServingConfig, serving_config
from serving.decisions import DecisionRoute
from serving.description import DECISION, EVENTS, describe
from serving.events import EventsRoute
from serving.guard import Guard
from serving.logs import logging_config
from serving.model_server import run_server
from serving.predictor import MAX_REASON, Predictor
from serving.room import MAX_BODY_BYTES, Room
from serving.start import ExperimentFiles
from serving.tracing import start_tracing

logger = logging.getLogger(__name__)

MODEL_NAME = "redrec"
LISTEN_SECONDS, POLL_SECONDS = 60, 0.05


async def bad_request(_: fastapi.Request, error: Exception) -> JSONResponse:
    """Return 400 with the reason, as for all bad input, if KServe's own V2 model refuses a request."""
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return JSONResponse({"error": f"This is no V2 request: {problems}"[:MAX_REASON]}, 400)


def serve(
    bundle: Path,
    features: Path | None,
    addresses: Addresses,
    *,
    model_name: str = MODEL_NAME,
    config: ServingConfig | None = None,
    experiment: ExperimentFiles | None = None,
    when_ready: Callable[[], None] | None = None,
) -> None:
    """Serve a bundle until SIGTERM or SIGINT; without `config`, with the configuration of the environment.

    With `experiment`, the bundle is the control's, and a second one answers the users of the treatment. `when_ready` is
    called once, when the server answers queries.

    Raises:
        InputError: The bundle is incomplete, or its index or features belong to another bundle; or the packages for
            tracing, which the environment demands, are missing.
    """
    start_tracing(os.environ)
    config = config or serving_config(None, os.environ)
    logging.config.dictConfig(logging_config(config.log_format))
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")  # KServe 0.21 on newer FastAPI
    predictor = Predictor(model_name, bundle, features, config, experiment)
    predictor.load()

    async def announce() -> None:
        for address in filter(None, (addresses.http, addresses.grpc)):
            await listening(address)
        loaded = predictor.bundle
        logger.info("bundle %s: %s items, port %s", loaded.manifest.id, len(loaded.item_ids), addresses.http.port)
        if addresses.grpc is not None:
            logger.info("gRPC: port %s", addresses.grpc.port)
        if isinstance(predictor.arms, TwoArms):
            logger.info("treatment: bundle %s", predictor.arms.treatment.bundle.manifest.id)
        if when_ready is not None:
            when_ready()

    predictor.when_ready = announce
    app.add_exception_handler(RequestValidationError, bad_request)
    if predictor.config.push_token is not None:
        events = EventsRoute(features, lambda: predictor.bundle, predictor.config.push_token)
        app.add_api_route(EVENTS, events.post, methods=["POST"], response_model=None)
    if isinstance(predictor.arms, TwoArms):
        app.add_api_route(DECISION, DecisionRoute(predictor.arms.followed).get, methods=["GET"], response_model=None)
    describe(app, model_name, predictor.bundle.manifest.scenarios[0])
    app.max_body_size = MAX_BODY_BYTES
    room = Room()
    app.add_middleware(Guard, waiting=predictor.waiting, room=room)
    run_server(predictor, addresses, room)


async def listening(address: Address) -> None:
    """Return once the server listens; it does so while the predictor warms up, so there is hardly a wait."""
    async with asyncio.timeout(LISTEN_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.reached_at, address.port)
            except OSError:
                await asyncio.sleep(POLL_SECONDS)
                continue
            writer.close()
            return
