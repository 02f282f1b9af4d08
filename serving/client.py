"""Client: one query to a running server by the V1 protocol, with the standard library only."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from redrec.config import InputError


def query(
    url: str,
    user_id: str,
    scenario: str,
    k: int = 10,
    *,
    history: Sequence[dict[str, object]] | None = None,
    exclude_seen: bool | None = None,
    category: str | None = None,
    explain: bool | None = None,
    model_name: str = "redrec",
    timeout_s: float = 10,
) -> dict[str, Any]:
    """Return the server's prediction: items, source, reason, bundle_id.

    Raises:
        InputError: The server refused the request; the message has its reason.
        ConnectionError: The server failed or did not answer.
    """
    instance = {"user_id": user_id, "scenario": scenario, "k": k}
    optional = {"history": history, "exclude_seen": exclude_seen, "category": category, "explain": explain}
    instance |= {name: value for name, value in optional.items() if value is not None}
    body = post(f"{url.rstrip('/')}/v1/models/{quote(model_name)}:predict", {"instances": [instance]}, timeout_s)
    prediction: dict[str, Any] = body["predictions"][0]
    return prediction


def post(url: str, body: object, timeout_s: float) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise InputError(f"Server address {url!r} is not allowed. Give http://HOST:PORT.")
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=timeout_s) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as error:
        kind = InputError if error.code < HTTPStatus.INTERNAL_SERVER_ERROR else ConnectionError
        raise kind(f"{url} answered {error.code}: {reason(error)}") from error
    except (URLError, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"No answer from {url}: {error}. Is `redrec serve` running there?") from error


def reason(error: HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["error"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return text
