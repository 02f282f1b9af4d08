"""gRPC: KServe's server of the V2 protocol, with the bounds, refusals and reasons of HTTP.

KServe's own listens on every host and takes any number of calls; its interceptors log every call, every refusal with a
traceback, and fail where an error has no reason. So they are replaced, and KServe's servicer stays as it is.

A call is taken as a stream of one message, since only then can it be refused before its message is read, and ended if
none comes. Only gRPC knows how much of a message it holds, so some may come at once and few may be slow. The message is
parsed here: gRPC answers INTERNAL to one that it cannot parse.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, NoReturn

from google.protobuf.message import DecodeError
from grpc import HandlerCallDetails, RpcMethodHandler, StatusCode, aio, stream_unary_rpc_method_handler
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer

from redrec.config import InputError
from serving.connections import IDLE_SECONDS
from serving.refusals import RefusedRequest
from serving.room import MAX_BODY_BYTES, MAX_BYTES, Room, in_time
from serving.shedding import Admission
from serving.v2 import check_message

logger = logging.getLogger(__name__)

INFER = "/inference.GRPCInferenceService/ModelInfer"
REFUSALS = {
    HTTPStatus.BAD_REQUEST: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.REQUEST_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.TOO_MANY_REQUESTS: StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: StatusCode.RESOURCE_EXHAUSTED,
}
ERRORS: dict[type[Exception], StatusCode] = {
    InvalidInput: StatusCode.INVALID_ARGUMENT,
    ModelNotFound: StatusCode.NOT_FOUND,
    ModelNotReady: StatusCode.UNAVAILABLE,
    NotImplementedError: StatusCode.UNIMPLEMENTED,
}
MAX_DETAILS_BYTES = 2000  # sent as up to three times as many; clients refuse more than 8 KiB
MAX_COMING = 64  # messages that gRPC may hold the beginnings of
MAX_SLOW = MAX_BYTES // MAX_BODY_BYTES  # of them not there within `PROMPT_SECONDS`
PROMPT_SECONDS = 0.1
REFUSE_SECONDS = 0.5  # enough for what waits in gRPC at a tenfold overload
AGAIN_MS = ("grpc-retry-pushback-ms", "1000")  # gRPC's Retry-After


def options(idle_seconds: float) -> list[tuple[str, int]]:
    idle_ms = round(1000 * idle_seconds)
    return [
        ("grpc.max_receive_message_length", MAX_BODY_BYTES),
        ("grpc.so_reuseport", 0),  # else a second server takes every other connection
        ("grpc.server_handshake_timeout_ms", idle_ms),
        ("grpc.max_connection_idle_ms", idle_ms),
    ]


class GuardedGrpc(GRPCServer):
    """KServe's server at one host, with a guard for its interceptors."""

    def __init__(self, host: str, admission: Admission, room: Room, port: int, *arguments: Any, **named: Any) -> None:
        super().__init__(port, *arguments, **named)
        self.address, self.guard = f"{host}:{port}", GrpcGuard(admission, room)

    async def stop(self, sig: int | None = None) -> None:
        """Refuse new queries, then stop after the last answer: gRPC cancels those that it has not yet handed over."""
        self.guard.is_stopping = True
        await asyncio.sleep(REFUSE_SECONDS)
        await super().stop(sig)

    async def start(self, max_workers: int) -> None:
        """Serve until `stop`; there are no workers, since all calls are answered on the event loop."""
        self._server = aio.server(interceptors=[self.guard], options=options(IDLE_SECONDS))
        servicer = InferenceServicer(self._data_plane, self._model_repository_extension)
        add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()
        await self._server.wait_for_termination()


class GrpcGuard(aio.ServerInterceptor):
    """What every call passes before and after KServe's servicer."""

    def __init__(self, admission: Admission, room: Room) -> None:
        self.admission, self.room = admission, room
        self.queries, self.others = IncomingMessages(), IncomingMessages()
        self.handlers: dict[str, RpcMethodHandler] = {}
        self.is_stopping = False

    async def intercept_service(
        self,
        continuation: Callable[[HandlerCallDetails], Awaitable[RpcMethodHandler]],
        handler_call_details: HandlerCallDetails,
    ) -> RpcMethodHandler:
        method = handler_call_details.method
        if method not in self.handlers:
            handler = await continuation(handler_call_details)
            if handler is None:  # no such method
                return None
            ask = self._query if method == INFER else self._other
            answer = partial(self._answer, partial(ask, handler))
            self.handlers[method] = stream_unary_rpc_method_handler(answer, None, handler.response_serializer)
        return self.handlers[method]

    async def _answer(self, ask: Callable[..., Awaitable[Any]], messages: AsyncIterator[bytes], context: Any) -> Any:
        """Return what KServe answers; end the call with status and reason where it does not."""
        try:
            return await ask(messages, context)
        except RefusedRequest as refused:
            refused.count()
            await abort(context, REFUSALS[refused.status], str(refused), (AGAIN_MS,) if refused.is_busy else ())
        except tuple(ERRORS) as error:
            if error.__cause__ is not None and isinstance(error, ModelNotReady):  # another bundle's index
                logger.error(str(error))
            code = next(ERRORS[kind] for kind in ERRORS if isinstance(error, kind))
            await abort(context, code, str(error))

    async def _query(self, handler: RpcMethodHandler, messages: AsyncIterator[bytes], context: Any) -> Any:
        if self.is_stopping:
            await abort(context, StatusCode.UNAVAILABLE, "The server stops. Ask again: another one answers.")
        with self.admission.request(is_query=True), self.room.request() as held:
            with self.admission.waiting.elsewhere():
                message = await self.queries.read(messages)
            held.add(len(message))
            request = parsed(handler, message)
            check(request)
            return await handler.unary_unary(request, context)

    async def _other(self, handler: RpcMethodHandler, messages: AsyncIterator[bytes], context: Any) -> Any:
        """Answer whatever the load is, as HTTP does: health, readiness, metadata."""
        return await handler.unary_unary(parsed(handler, await self.others.read(messages)), context)


class IncomingMessages:
    """The messages that are coming, and those of them that are slow; one too many is refused."""

    def __init__(self) -> None:
        self.num_coming, self.slow = 0, set[asyncio.Timeout]()

    async def read(self, messages: AsyncIterator[bytes]) -> bytes:
        """Return the one message of a call."""
        try:
            async with asyncio.timeout(None) as turn:
                message = await self._next(messages, turn)
        except TimeoutError as error:
            reason = (
                f"The server is busy: it waits for {MAX_SLOW} slow messages or {MAX_COMING}. Ask again in a second."
            )
            raise RefusedRequest(HTTPStatus.SERVICE_UNAVAILABLE, reason) from error
        if message is None:
            raise RefusedRequest(HTTPStatus.BAD_REQUEST, "The call ended without a message.")
        return message

    async def _next(self, messages: AsyncIterator[bytes], turn: asyncio.Timeout) -> bytes | None:
        if self.num_coming >= MAX_COMING:
            raise TimeoutError
        timer = asyncio.get_running_loop().call_later(PROMPT_SECONDS, self._is_slow, turn)
        self.num_coming += 1
        try:
            async with in_time():
                return await anext(messages, None)
        finally:
            self.num_coming -= 1
            timer.cancel()
            self.slow.discard(turn)

    def _is_slow(self, turn: asyncio.Timeout) -> None:
        if len(self.slow) < MAX_SLOW:
            self.slow.add(turn)
        else:
            turn.reschedule(0)  # at once


def parsed(handler: RpcMethodHandler, message: bytes) -> Any:
    try:
        return handler.request_deserializer(message)
    except DecodeError as error:
        raise RefusedRequest(HTTPStatus.BAD_REQUEST, f"The message is none of this call: {error}.") from error


def check(request: ModelInferRequest) -> None:
    if request.model_version:  # KServe would ignore it
        raise NotImplementedError("Model versioning not supported yet.")  # as it says by HTTP
    try:
        check_message(request)
    except InputError as error:
        raise RefusedRequest(HTTPStatus.BAD_REQUEST, str(error)) from error


async def abort(context: Any, code: StatusCode, reason: str, metadata: tuple[tuple[str, str], ...] = ()) -> NoReturn:
    details = reason.encode(errors="replace")[:MAX_DETAILS_BYTES].decode(errors="ignore")
    await context.abort(code, details, metadata)
    raise AssertionError("abort raises")
