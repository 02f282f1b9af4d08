"""Serving: requests a second, time and CPU of a request by V1, V2, V2 binary and gRPC, beside the bare steps of it.

    python -m tests.benchmarks.serving --json

For each number of items one server process with one thread, as in the image, on a generated bundle, loaded by 1, 8 and
32 connections that wait for their answers, three times each by turns; the medians are given. The CPU is the server's
own. One bundle more has its items on a real Milvus server, whose CPU is given beside. For the others the steps of a
request are measured in the same run: by the same turns KServe around a model that always gives the same answer, under
the load of one connection; and what `serving.steps` has, each step in a loop, and in turn as a request has them. A
request's CPU is given as a ratio to the sum of the bare steps (KServe, the ONNX tower, the search and the read of the
features) and to that of all, of either way.

Needs `wrk`: apt-get install -y wrk
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redrec.index.server import URI, MilvusServer
from tests.benchmarks.index_embedded import ONE_THREAD
from tests.benchmarks.measure import ROOT, commit, cpu_s, say
from tests.benchmarks.serving.generated import generated_run, user_ids
from tests.benchmarks.serving.load import OF_HTTP, PROTOCOLS, Load, check_wrk, v1_request, v2_request
from tests.benchmarks.serving.steps import BARE
from tests.milvus_server import milvus_server
from tests.redis_server import free_port
from tests.serving.processes import end, start, wait_until_ready
from tests.serving.test_app import post

SIZES = (1_800, 20_000, 50_000, 100_000)
CONNECTIONS = (1, 8, 32)
USERS = (8, 64)  # of one request
SERVER_ITEMS = 100_000
SECONDS, WARM_UP_S = 3.0, 1.0
ROUNDS = 3
CPU = "cpu_ms"
KIND, COUNTS = ("protocol", "connections"), ("requests", "errors", "not_of_model")  # of a row, beside figures


class Lab:
    """A server with redrec's predictor, and KServe alone."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.users, self.environment = folder, user_ids(), environment | ONE_THREAD

    @contextmanager
    def served(self) -> Iterator[tuple[int, Load]]:
        """Serve the generated run, and yield the server's process id and its load."""
        port, grpc_port = free_port(), free_port()
        folders = ("--bundle", str(self.folder / "bundle"), "--features", str(self.folder / "features"))
        ports = ("--http_port", str(port), "--grpc_port", str(grpc_port))
        with ready(start(*folders, *ports, **self.environment), port) as pid:
            yield pid, Load(port, grpc_port, self.users, self.folder)

    @contextmanager
    def echo(self) -> Iterator[tuple[int, Load]]:
        """Serve the answers that were written."""
        port, grpc_port = free_port(), free_port()
        words = ["tests.benchmarks.serving.echo", str(port), str(grpc_port), str(self.answers)]
        command = [sys.executable, "-m", *words]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | ONE_THREAD, stderr=subprocess.PIPE, text=True)
        with ready(process, port) as pid:
            yield pid, Load(port, grpc_port, self.users, self.folder)

    @property
    def answers(self) -> Path:
        return self.folder / "answers.json"

    def write_answers(self, load: Load) -> None:
        """Write what the server answers to one user."""
        v1, v2 = (
            post(f"{load.url}{OF_HTTP[name][0]}", make(self.users[0]).body)[1]
            for name, make in (("V1", v1_request), ("V2", v2_request))
        )
        outputs = [{key: output[key] for key in ("name", "shape", "datatype", "data")} for output in v2["outputs"]]
        self.answers.write_text(json.dumps({"v1": v1, "v2": outputs}))

    def steps(self) -> dict[str, dict[str, float]]:
        command = [sys.executable, "-m", "tests.benchmarks.serving.steps", str(self.folder)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, check=True)
        of_ways: dict[str, dict[str, float]] = json.loads(done.stdout)
        return of_ways


@contextmanager
def ready(process: subprocess.Popen, port: int) -> Iterator[int]:
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield process.pid
    finally:
        end(process)


def row_of(
    pids: dict[str, int], load: Load, protocol: str, num_connections: int, seconds: float, num_users: int = 1
) -> dict[str, Any]:
    """Return what was measured, with the CPU of each process."""
    load.run(protocol, num_connections, WARM_UP_S, num_users)
    time.sleep(WARM_UP_S)  # until what wrk left behind is answered; else some get 429
    before_s = {name: cpu_s(pid) for name, pid in pids.items()}
    loaded = load.run(protocol, num_connections, seconds, num_users)
    figures: dict[str, float] = {
        "requests_per_s": loaded.requests / loaded.seconds,
        "p50_ms": loaded.p50_ms,
        "p99_ms": loaded.p99_ms,
    }
    figures |= {name: 1000 * (cpu_s(pid) - before_s[name]) / loaded.requests for name, pid in pids.items()}
    counts = {"requests": loaded.requests, "errors": loaded.errors, "not_of_model": loaded.not_of_model}
    row: dict[str, Any] = {"protocol": protocol, "connections": num_connections}
    row |= {name: round(value, 2) for name, value in figures.items()} | counts
    say(str(row))
    return row


def rows_of(pids: dict[str, int], load: Load, seconds: float) -> list[dict[str, Any]]:
    return [row_of(pids, load, name, count, seconds) for name in PROTOCOLS for count in CONNECTIONS]


def median_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of what several loads of the same kind measured, and the sums of what they count."""
    first = rows[0]
    sums = {name: sum(row[name] for row in rows) for name in COUNTS}
    medians = {name: statistics.median(row[name] for row in rows) for name in set(first) - set(KIND) - set(COUNTS)}
    return {name: first[name] for name in KIND} | medians | sums


def measured(folder: Path, num_items: int, seconds: float) -> dict[str, Any]:
    say(f"{num_items:,} items: building a bundle")
    generated_run(folder, num_items)
    lab = Lab(folder)
    rounds, of_echo = [], []
    with lab.served() as (pid, load):
        lab.write_answers(load)
        with lab.echo() as (echo_pid, echo_load):
            for _ in range(ROUNDS):  # by turns, since the machine's speed changes
                rounds.append(rows_of({CPU: pid}, load, seconds))
                of_echo.append([row_of({CPU: echo_pid}, echo_load, name, 1, seconds)[CPU] for name in PROTOCOLS])
        of_many = {number: row_of({CPU: pid}, load, "V1", 1, seconds, number)[CPU] / number for number in USERS}
    rows = [median_row(of_kind) for of_kind in zip(*rounds, strict=True)]
    echo = dict(zip(PROTOCOLS, map(statistics.median, zip(*of_echo, strict=True)), strict=True))
    say("the steps")
    steps = lab.steps()
    for row in rows:
        for way, of_steps in steps.items():
            bare_ms = echo[row["protocol"]] + sum(of_steps[name] for name in BARE)
            all_ms = echo[row["protocol"]] + sum(of_steps.values())
            row |= {f"ratio_{way}": round(row[CPU] / bare_ms, 2), f"ratio_of_all_{way}": round(row[CPU] / all_ms, 2)}
    return {
        "rows": rows,
        "V1 by users of a request, cpu_ms a user": {number: round(cpu_ms, 2) for number, cpu_ms in of_many.items()},
        "KServe alone, cpu_ms": echo,
        "steps, cpu_ms": steps,
    }


def measured_on_server(folder: Path, num_items: int, seconds: float) -> dict[str, Any]:
    say(f"{num_items:,} items: building a bundle on a Milvus server")
    with milvus_server(folder / "server") as milvus:
        server = MilvusServer(uri=f"http://{milvus.address}", timeout_s=120)
        generated_run(folder, num_items, server)
        with Lab(folder, **{URI: server.uri}).served() as (pid, load):
            pids = {CPU: pid, "server_cpu_ms": milvus.process.pid}
            return {"rows": rows_of(pids, load, seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.serving")
    sizes = " ".join(map(str, SIZES))
    parser.add_argument("--items", type=int, nargs="*", default=SIZES, help=f"catalogs' items (default: {sizes})")
    on_server = f"catalog on a Milvus server; 0: none (default: {SERVER_ITEMS})"
    parser.add_argument("--server-items", type=int, default=SERVER_ITEMS, help=on_server)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each load (default: {SECONDS:.0f})")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    check_wrk()
    result: dict[str, Any] = {"benchmark": "serving", "commit": commit(), "seconds": arguments.seconds}
    for num_items in arguments.items:
        with tempfile.TemporaryDirectory() as scratch:
            result[f"{num_items} items"] = measured(Path(scratch), num_items, arguments.seconds)
    if arguments.server_items:
        with tempfile.TemporaryDirectory() as scratch:
            measured_there = measured_on_server(Path(scratch), arguments.server_items, arguments.seconds)
        result[f"{arguments.server_items} items on a Milvus server"] = measured_there
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
