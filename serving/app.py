"""App: the routes and the log of the server around one bundle."""

import asyncio
import logging
import logging.config
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import fastapi
import uvloop
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.model_server import app

from serving.address import Address
from serving.arms import TwoArms
from serving.config import ServingConfig, serving_config
from serving.decisions import DecisionRoute
from serving.description import DECISION, EVENTS, describe
from serving.events import EventsRoute
from serving.guard import Guard
from serving.model_server import run_server
from serving.predictor import MAX_REASON, Predictor
from serving.start import ExperimentFiles

logger = logging.getLogger(__name__)

MODEL_NAME = "redrec"
MAX_BODY_BYTES = 2 * 1024 * 1024  # the most events of a request, of 400 bytes each
LISTEN_SECONDS, POLL_SECONDS = 60, 0.05


class ExpectedErrorFilter(logging.Filter):
    """Drops the tracebacks that KServe logs for expected errors; the caller gets their reason."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        is_other_index = isinstance(error, ModelNotReady) and error.__cause__ is not None
        if is_other_index:  # another bundle's index: the operator must fix it
            record.msg, record.args, record.exc_info = str(error), (), None
            return True
        return not isinstance(error, InvalidInput | ModelNotFound | ModelNotReady | NotImplementedError)


def logging_config() -> dict:
    """Log our own lines, and only warnings of libraries. KServe would write four lines per request."""
    quiet = {"level": "WARNING", "handlers": ["stderr"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"expected": {"()": ExpectedErrorFilter}},
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["expected"]}},
        "loggers": {
            "kserve": quiet,
            "kserve.trace": quiet,
            "uvicorn": quiet,
            "uvicorn.access": quiet,
            "pymilvus": {"level": "CRITICAL"},  # it logs a page per failed call, the retriever one line
            "serving": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        },
    }


async def bad_request(_: fastapi.Request, error: Exception) -> JSONResponse:
    """Return 400 with the reason, as for all bad input, if KServe's own V2 model refuses a request."""
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return JSONResponse({"error": f"This is no V2 request: {problems}"[:MAX_REASON]}, 400)


def serve(
    bundle: Path,
    features: Path | None,
    address: Address,
    *,
    metrics: Address | None = None,
    model_name: str = MODEL_NAME,
    config: ServingConfig | None = None,
    experiment: ExperimentFiles | None = None,
    when_ready: Callable[[], None] | None = None,
) -> None:
    """Serve a bundle until SIGTERM or SIGINT; without `config`, with the configuration of the environment.

    With `experiment`, the bundle is the control's, and a second one answers the users of the treatment. With `metrics`,
    `/metrics` is there, and not at `address`. `when_ready` is called once, when the server answers queries.

    Raises:
        InputError: The bundle is incomplete, or its index or features belong to another bundle.
    """
    logging.config.dictConfig(logging_config())
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")  # KServe 0.21 on newer FastAPI
    uvloop.install()
    asyncio.set_event_loop(uvloop.new_event_loop())  # KServe 0.21 runs one worker on plain asyncio otherwise
    predictor = Predictor(model_name, bundle, features, config or serving_config(None, os.environ), experiment)
    predictor.load()

    async def announce() -> None:
        await listening(address)
        loaded = predictor.bundle
        logger.info("bundle %s: %s items, port %s", loaded.manifest.id, len(loaded.item_ids), address.port)
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
    app.add_middleware(Guard)
    run_server(predictor, address, metrics)


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
