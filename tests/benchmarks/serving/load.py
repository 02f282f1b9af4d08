"""Load by a number of connections, each of which sends its next request when it has its answer.

HTTP is loaded by `wrk`, and gRPC by grpc.aio with a channel per connection, since `wrk` does not speak it.
"""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
from grpc import aio

from serving.grpc_server import INFER
from serving.v2 import INPUTS
from tests.benchmarks.serving.generated import SCENARIO
from tests.serving.hostile import INFER as INFER_PATH
from tests.serving.hostile import JSON_LENGTH, PREDICT
from tests.serving.rpcs import packed, request_of

K = 10
OF_MODEL_BY_GRPC = b"\x05model"  # a text with its length, as protobuf has it
ONE_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]  # else channels of one process share theirs
SCRIPT = """
local requests, next_one = {{}}, 0
function init()
  num_errors, num_not_of_model = 0, 0
  for number, one in ipairs({{ {requests} }}) do
    requests[number] = wrk.format("POST", "{path}", one[1], one[2])
  end
end
function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
function response(status, headers, body)
  if status ~= 200 then
    num_errors = num_errors + 1
  elseif not body:find('{of_model}', 1, true) then
    num_not_of_model = num_not_of_model + 1
  end
end
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function done(summary, latency)
  local errors, not_of_model, broken = 0, 0, summary.errors
  for _, thread in ipairs(threads) do
    errors, not_of_model = errors + thread:get("num_errors"), not_of_model + thread:get("num_not_of_model")
  end
  errors = errors + broken.connect + broken.read + broken.write + broken.timeout
  local form = '{{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "errors": %d, "not_of_model": %d}}'
  local p50, p99 = latency:percentile(50) / 1000, latency:percentile(99) / 1000
  print(form:format(summary.requests, summary.duration / 1e6, p50, p99, errors, not_of_model))
end
"""


class Loaded(NamedTuple):
    """What one load got; errors and answers that are not the model's are counted, too."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    not_of_model: int


class HttpRequest(NamedTuple):
    headers: dict[str, str]
    body: bytes


def values_of(*users: str) -> dict[str, list]:
    return {"user_id": list(users), "scenario": [SCENARIO] * len(users), "k": [K] * len(users)}


def v1_request(*users: str) -> HttpRequest:
    body = {"instances": [{"user_id": user, "scenario": SCENARIO, "k": K} for user in users]}
    return HttpRequest({"Content-Type": "application/json"}, json.dumps(body).encode())


def v2_request(*users: str) -> HttpRequest:
    inputs = [
        {"name": name, "shape": [len(users)], "datatype": INPUTS[name], "data": values}
        for name, values in values_of(*users).items()
    ]
    return HttpRequest({"Content-Type": "application/json"}, json.dumps({"inputs": inputs}).encode())


def v2_binary_request(*users: str) -> HttpRequest:
    binary = {name: packed(INPUTS[name], values) for name, values in values_of(*users).items()}
    inputs = [
        {
            "name": name,
            "shape": [len(users)],
            "datatype": INPUTS[name],
            "parameters": {"binary_data_size": len(content)},
        }
        for name, content in binary.items()
    ]
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}
    return HttpRequest(headers, head + b"".join(binary.values()))


OF_HTTP = {
    "V1": (PREDICT, v1_request, '"source":"model"'),
    "V2": (INFER_PATH, v2_request, '"data":["model"]'),
    "V2 binary": (INFER_PATH, v2_binary_request, '"data":["model"]'),
}
PROTOCOLS = (*OF_HTTP, "gRPC")


def check_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("The load needs wrk, which is not on the PATH. Install it: apt-get install -y wrk")


def lua_text(content: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in content) + '"'


def lua_request(request: HttpRequest) -> str:
    headers = ", ".join(f'["{name}"] = "{value}"' for name, value in request.headers.items())
    return f"{{ {{ {headers} }}, {lua_text(request.body)} }}"


class Load:
    """Requests of these users to a server at two ports."""

    def __init__(self, port: int, grpc_port: int, users: Sequence[str], folder: Path) -> None:
        self.url, self.address, self.users, self.folder = (
            f"http://127.0.0.1:{port}",
            f"127.0.0.1:{grpc_port}",
            users,
            folder,
        )

    def run(self, protocol: str, num_connections: int, seconds: float, num_users: int = 1) -> Loaded:
        """Return what requests got, each for so many users."""
        starts = range(0, len(self.users) - num_users + 1, num_users)
        groups = [self.users[start : start + num_users] for start in starts]
        if protocol == "gRPC":
            return asyncio.run(self._grpc(groups, num_connections, seconds))
        return self._wrk(groups, protocol, num_connections, seconds)

    def _wrk(self, groups: Sequence[Sequence[str]], protocol: str, num_connections: int, seconds: float) -> Loaded:
        path, request_of_users, of_model = OF_HTTP[protocol]
        requests = ",\n".join(lua_request(request_of_users(*users)) for users in groups)
        script = self.folder / "load.lua"
        script.write_text(SCRIPT.format(requests=requests, path=path, of_model=of_model))
        command = ["wrk", "-t1", f"-c{num_connections}", f"-d{round(seconds)}s", "--timeout=15s", "-s", str(script)]
        done = subprocess.run([*command, self.url], capture_output=True, text=True, check=True)
        return Loaded(**json.loads(done.stdout.splitlines()[-1]))

    async def _grpc(self, groups: Sequence[Sequence[str]], num_connections: int, seconds: float) -> Loaded:
        messages = [request_of(False, **values_of(*users)).SerializeToString() for users in groups]
        walls: list[float] = []
        counts = {"errors": 0, "not_of_model": 0}
        end = time.monotonic() + seconds

        async def connection(first: int) -> None:
            async with aio.insecure_channel(self.address, options=ONE_CONNECTION) as channel:
                call: Any = channel.unary_unary(INFER)
                number = first
                while time.monotonic() < end:
                    begin, number = time.perf_counter(), number + 1
                    try:
                        answer = await call(messages[number % len(messages)])
                        counts["not_of_model"] += OF_MODEL_BY_GRPC not in answer
                    except grpc.RpcError:
                        counts["errors"] += 1
                    walls.append(1000 * (time.perf_counter() - begin))

        begin = time.monotonic()
        await asyncio.gather(*map(connection, range(num_connections)))
        p50, p99 = np.quantile(walls, [0.5, 0.99]).tolist()
        return Loaded(len(walls), time.monotonic() - begin, p50, p99, **counts)
