"""Connection: a client of a Milvus server; what the server refuses is said with what mends it.

Every call has a time limit: without one, pymilvus tries a call that fails for minutes.
"""

import re

from pymilvus import MilvusClient, MilvusException

from redrec.config import InputError
from redrec.index.server import VARIABLES, MilvusServer

OLDEST_VERSION = (2, 3)  # it counts rows and upserts
NO_DATABASE = 800


def connect(server: MilvusServer) -> MilvusClient:
    """Return a client; close it when done.

    Raises:
        InputError: The server does not answer, refuses the login or is too old; the message says which.
    """
    try:
        client = _open(server)
        version = client.get_server_version(timeout=server.timeout_s)
        client.list_collections(timeout=server.timeout_s)  # a database that is not there is seen here
    except MilvusException as error:
        raise InputError(f"Milvus at {server.uri} cannot be opened: {reason(error, server)}") from error
    try:
        check_version(version, server.uri)
    except InputError:
        client.close()
        raise
    return client


def _open(server: MilvusServer) -> MilvusClient:
    """Return a client, at the second try where the first call is refused on its way.

    Clients of one process share a connection. A server or a proxy may close it at any moment, pymilvus makes every call
    again but the first one.
    """
    try:
        return MilvusClient(server.uri, **server.options())
    except MilvusException as error:
        if _grpc_status(error)[0] != "UNAVAILABLE":
            raise
        return MilvusClient(server.uri, **server.options())


def check_version(version: str, uri: str) -> None:
    """Raise InputError if a server's version is too old, or no version.

    >>> check_version("v2.3.5-lite", "http://milvus:19530")
    >>> check_version("2.2.9", "http://milvus:19530")
    Traceback (most recent call last):
    ...
    redrec.config.InputError: Milvus at http://milvus:19530 has the version 2.2.9; 2.3 or newer is needed. Upgrade it.
    """
    numbers = re.match(r"(?:v|milvus_lite-)?(\d+)\.(\d+)", version)
    least = ".".join(map(str, OLDEST_VERSION))
    if numbers is None:
        raise InputError(f"What answers at {uri} says it has the version {version!r}. Give a Milvus {least} or newer.")
    if (int(numbers[1]), int(numbers[2])) < OLDEST_VERSION:
        raise InputError(f"Milvus at {uri} has the version {version}; {least} or newer is needed. Upgrade it.")


def reason(error: MilvusException, server: MilvusServer) -> str:
    """Return why a call failed, and what to do; pymilvus has one text for a wrong password and a closed port."""
    code, details = _grpc_status(error)
    if code == "UNAUTHENTICATED":
        return (
            f"it refuses the login ({details}). Set {VARIABLES['user']} and {VARIABLES['password']}, or "
            f"{VARIABLES['token']}."
        )
    if code == "DEADLINE_EXCEEDED":
        return f"it did not answer within {server.timeout_s:g} s. Is it overloaded, or is another service there?"
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return f"its certificate is not trusted. Set {VARIABLES['ca']} to the text of that of the server or its CA."
    if code == "UNAVAILABLE":
        return f"{details}. Is it running, and reachable? Does it speak TLS (https)?"
    if error.code == NO_DATABASE:
        return f"{error.message}. Create the database, or set {VARIABLES['database']}."
    return str(error.message)


def is_unreachable(error: MilvusException) -> bool:
    """Return whether the call failed on its way, so that another one would fail or wait too."""
    return _grpc_status(error) != ("", "")


def _grpc_status(error: BaseException) -> tuple[str, str]:
    """Return the name and the details of the status of the gRPC call that an error came from, or empty texts."""
    cause: BaseException | None = error
    for _ in range(5):  # pymilvus raises errors from themselves
        if cause is None:
            break
        if isinstance(cause, TimeoutError):  # of the asynchronous client
            return "DEADLINE_EXCEEDED", ""
        if hasattr(cause, "details") and callable(getattr(cause, "code", None)):
            return cause.code().name, cause.details() or ""  # type: ignore[attr-defined]
        cause = cause.__cause__ if cause.__cause__ is not cause else cause.__context__
    return "", ""
