"""Hostile requests: sound ones of each protocol with bytes, values, lengths and headers changed, by a seed."""

import json
import random
from collections.abc import Iterator
from typing import NamedTuple

PREDICT, INFER = "/v1/models/redrec:predict", "/v2/models/redrec/infer"
JSON_LENGTH = "Inference-Header-Content-Length"
CONTENT_TYPES = ("application/json", "text/plain", "application/octet-stream", "application/cloudevents+json", "")
CLOUD_EVENT = {"ce-id": "1", "ce-source": "x", "ce-type": "y", "ce-specversion": "1.0"}
TOKENS = (
    *(
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"NaN",
        b"9" * 400,
        b"1.9",
        b'""',
        b"{}",
        b"[]",
    ),
    *(
        rb'"\ud800"',
        rb'"\u0000"',
        b'"\xff\xfe"',
        b'"' + b"x" * 5000 + b'"',
        b",",
        b":",
        b"\x00",
        b"</script>",
        b'"False"',
    ),
)


class Hostile(NamedTuple):
    path: str
    body: bytes
    headers: dict[str, str]


def hostile_requests(events: list[dict], num_requests: int, seed: int) -> Iterator[Hostile]:
    rng = random.Random(seed)
    for _ in range(num_requests):
        make = rng.choice([_v1, _v2, _v2_binary])
        yield make(events, rng)


def _v1(events: list[dict], rng: random.Random) -> Hostile:
    instance = {"user_id": "u", "scenario": "ads", "k": 3, "category": "tools", "history": events}
    return Hostile(PREDICT, _changed(json.dumps({"instances": [instance]}).encode(), rng), _headers(rng))


def _v2(events: list[dict], rng: random.Random) -> Hostile:
    inputs = [_tensor(name, datatype, [value]) for name, datatype, value in _values(events)]
    return Hostile(INFER, _changed(json.dumps({"id": "r", "inputs": inputs}).encode(), rng), _headers(rng))


def _v2_binary(events: list[dict], rng: random.Random) -> Hostile:
    packed = [(name, datatype, _packed(datatype, value)) for name, datatype, value in _values(events)]
    lies = (-1, 0, 1, 2**31, 2**62)
    inputs = []
    for name, datatype, raw in packed:
        size = rng.choice(lies) if rng.random() < 0.2 else len(raw)
        inputs.append({"name": name, "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": size}})
    head = json.dumps({"inputs": inputs}).encode()
    tail = b"".join(raw for *_, raw in packed)
    length = str(rng.choice(lies)) if rng.random() < 0.3 else str(len(head))
    if rng.random() < 0.5:
        head = _changed(head, rng)
    if rng.random() < 0.5:
        tail = _changed(tail, rng)
    return Hostile(
        INFER, head + tail, _headers(rng) | {"Content-Type": "application/octet-stream", JSON_LENGTH: length}
    )


def _values(events: list[dict]) -> list[tuple[str, str, object]]:
    return [
        ("user_id", "BYTES", "u"),
        ("scenario", "BYTES", "ads"),
        ("k", "INT32", 3),
        ("history", "BYTES", json.dumps(events)),
        ("exclude_seen", "BOOL", True),
    ]


def _tensor(name: str, datatype: str, data: list) -> dict:
    return {"name": name, "shape": [1], "datatype": datatype, "data": data}


def _packed(datatype: str, value: object) -> bytes:
    if datatype == "BYTES":
        text = str(value).encode()
        return len(text).to_bytes(4, "little") + text
    return int(value).to_bytes(4 if datatype == "INT32" else 1, "little")


def _changed(body: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(body) + 1)
        stop = min(len(body), start + rng.choice([0, 1, 1, 8, 64]))
        insert = rng.choice([rng.randbytes(1), rng.choice(TOKENS), body[:start], b""])
        body = body[:start] + insert + body[stop:]
    return body


def _headers(rng: random.Random) -> dict[str, str]:
    headers = {"Content-Type": rng.choice(CONTENT_TYPES) if rng.random() < 0.3 else CONTENT_TYPES[0]}
    return headers | (CLOUD_EVENT if rng.random() < 0.1 else {})
