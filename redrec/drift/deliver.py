"""Deliver: content sent by HTTP to an address of the platform, with an error that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from redrec.config import InputError

TIMEOUT_S = 10.0
MAX_ANSWER = 200  # characters of a refusal that are shown


class DeliveryError(ConnectionError):
    """The receiver does not answer, or refuses what it gets."""


def check_address(name: str, address: str) -> None:
    """Raise InputError if `address`, the value of the setting `name`, is none of HTTP."""
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise InputError(f"{name} {address} is no address. Give one like http://host:9093/path.")


def post(address: str, content: bytes) -> None:
    """Send the content, JSON, and return once the receiver has taken it.

    Raises:
        DeliveryError: It has not, within `TIMEOUT_S`.
    """
    with delivery_errors(address):
        urlopen(Request(address, content, {"Content-Type": "application/json"}), timeout=TIMEOUT_S).close()


@contextmanager
def delivery_errors(address: str) -> Iterator[None]:
    """Turn what HTTP raises into a DeliveryError."""
    try:
        yield
    except HTTPError as error:
        with error:
            said = error.read(MAX_ANSWER).decode(errors="replace").strip()
        raise DeliveryError(f"{address} answers {error.code}: {said or error.reason}. Correct the address.") from error
    except (OSError, HTTPException) as error:  # no connection, no answer in time, or one that is no HTTP
        reason = getattr(error, "reason", None) or error
        raise DeliveryError(
            f"{address} did not take it within {TIMEOUT_S:g} s: {reason}. Look whether it is up."
        ) from error
