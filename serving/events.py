"""Events: new events by POST, for callers that have the token; the next answer for their users has seen them.

A request is read and written on a thread of its own, so neither the event loop nor the reads of histories wait for it.
Pushes of several servers into one store go one after another (`feature_repo.write_lock`).
"""

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError

from feature_repo.push import PushedEvent, Pusher, by_reason
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from serving.bodies import NewEvents
from serving.config import PUSH_TOKEN

MAX_FAULTS = 5  # named in an error
ADAPTER: TypeAdapter[list[Any]] = TypeAdapter(NewEvents)


class EventsRoute:
    """Checks the token, then pushes; `post` is the route's function, `bundle` returns the one in service."""

    def __init__(self, features: Path | None, bundle: Callable[[], Bundle], token: str) -> None:
        if features is None:
            raise InputError(f"{PUSH_TOKEN} is set, but the server has no feature folder to write to. Give one.")
        self.token, self.bundle = token.encode(), bundle
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self.pusher = self.thread.submit(Pusher, features, bundle().item_index).result()

    async def post(self, request: Request) -> JSONResponse:
        if not self._has_token(request):
            error = "This route needs the header `Authorization: Bearer TOKEN` with the token of this server."
            return JSONResponse({"error": error}, 401, {"WWW-Authenticate": "Bearer"})
        body = await request.body()
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self.thread, self._push, body)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 400)
        except ConnectionError as error:  # the store's
            return JSONResponse({"error": str(error)}, 503)
        return JSONResponse(answer)

    def _has_token(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        is_same = hmac.compare_digest(given.strip().encode(), self.token)  # its time does not tell how much is right
        return scheme.lower() == "bearer" and is_same

    def _push(self, body: bytes) -> dict[str, Any]:
        self.pusher.item_ids = self.bundle().item_index
        pushed = self.pusher.push([PushedEvent(**event.model_dump()) for event in read_events(body)])
        return {**pushed.counts, "refused": by_reason(pushed.refused)}


def read_events(body: bytes) -> list[Any]:
    """Return the events of a body.

    Raises:
        InputError: It is no JSON list of events; the message names the first faults.
    """
    try:
        return ADAPTER.validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)[:MAX_FAULTS]
        texts = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults]
        raise InputError(f"The body is a JSON list of events; seen: {'; '.join(texts)}.") from error
