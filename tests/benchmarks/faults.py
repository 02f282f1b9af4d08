"""Faults under load: what the requests of a constant load get while something fails, and how soon it is over.

One `redrec serve` process with a small bundle, its features in Redis and its collection on a Milvus Lite server. The
load runs a second before a fault, through it, and some seconds after its end. Every answer but the model's has to say
so, and no request may end without one.

    python -m tests.benchmarks.faults --json
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

import numpy as np

from feature_repo.materialize import materialize
from redrec.atomic import replaced_folder
from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from redrec.index.server import MilvusServer
from serving.client import query
from serving.config import ServingConfig
from tests.benchmarks.constant_load import NO_ANSWER, ConstantLoad, Result, constant_load
from tests.benchmarks.measure import main, say
from tests.bundles import upload
from tests.milvus_lite import start_lite
from tests.redis_server import free_port, start_redis
from tests.serving.experiments import two_bundles
from tests.serving.processes import wait_until_ready

NUM_ITEMS = 1800  # as in the demo
RATE = 40.0  # requests a second; the server answers several times as many
BEFORE_S, FAULT_S, AFTER_S = 1.0, 4.0, 5.0
NUM_CLIENTS = 8  # that wait for their answers, to measure the capacity
NUM_SLOW = 40  # more than may wait
INSTANCES = ({"user_id": "user-7", "scenario": "ads", "k": 10},)
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def nothing() -> None: ...


class Row(NamedTuple):
    """One fault; all but the last three are numbers of requests."""

    fault: str
    requests: int
    model: int
    fallback: int  # marked with a source that is not the model
    refused: int  # 429
    other_errors: dict[int, int]  # by status
    dropped: int  # without an answer
    p50_ms: float | None  # of the answers
    p99_ms: float | None
    recovery_s: float  # from the end of the fault to the last request that the model did not answer


def row_of(fault: str, results: list[Result], end_s: float, until_s: float = np.inf) -> Row:
    """Return the row of a fault that ended at `end_s`, of the requests that were sent until `until_s`."""
    results = [result for result in results if result.sent_s <= until_s]
    statuses = Counter(result.status for result in results)
    num_refused, num_dropped = statuses.pop(HTTPStatus.TOO_MANY_REQUESTS, 0), statuses.pop(NO_ANSWER, 0)
    num_answered, num_model = statuses.pop(HTTPStatus.OK, 0), sum(result.is_of_model for result in results)
    walls_ms = [1000 * result.seconds for result in results if result.status == HTTPStatus.OK]
    p50, p99 = np.quantile(walls_ms, [0.5, 0.99]).round(1).tolist() if walls_ms else (None, None)
    late_s = [result.sent_s - end_s for result in results if not result.is_of_model]
    recovery_s = round(max([0.0, *late_s]), 2)
    fallback, errors = num_answered - num_model, dict(statuses)
    row = Row(fault, len(results), num_model, fallback, num_refused, errors, num_dropped, p50, p99, recovery_s)
    say(str(row))
    return row


class Lab:
    """A service and what it needs, each of which may fail; `redis` and `milvus` are the processes of now."""

    def __init__(self, folder: Path) -> None:
        self.run, self.redis_port, self.milvus_port, self.port = (
            RunFolder(folder),
            free_port(),
            free_port(),
            free_port(),
        )
        os.environ["REDREC_REDIS"] = f"localhost:{self.redis_port}"
        self.start_redis()
        bundles = two_bundles(folder, NUM_ITEMS)
        self.other: Bundle = bundles.treatment
        self.start_milvus()
        server = MilvusServer(uri=f"http://127.0.0.1:{self.milvus_port}")
        for bundle in (bundles.control, self.other):
            upload(server, bundle)
        self.config = folder / "serving.json"
        self.config.write_text(ServingConfig(milvus=server).model_dump_json())

    def start_redis(self) -> None:
        self.redis = start_redis(self.redis_port)

    def start_milvus(self) -> None:
        self.milvus = start_lite(self.run.path / "milvus", self.milvus_port)

    def fill_redis(self) -> None:
        """Start Redis again; it kept nothing on disk."""
        self.start_redis()
        materialize(self.run.path / "data", self.run.features)

    def swap_bundle(self) -> None:
        with replaced_folder(self.run.bundle) as new:
            copytree(self.other.path, new, dirs_exist_ok=True)

    @contextmanager
    def served(self) -> Iterator[subprocess.Popen]:
        options = ["--run", str(self.run.path), "--port", str(self.port), "--config", str(self.config)]
        process = subprocess.Popen([sys.executable, "-m", "cli.main", "serve", *options], **QUIET)
        try:
            wait_until_ready(f"http://127.0.0.1:{self.port}", process)
            with constant_load(self.port, INSTANCES, RATE):  # warms up
                time.sleep(BEFORE_S)
            yield process
        finally:
            process.kill()
            process.wait()

    def last_bundle(self) -> str:
        """Return the id of the bundle that answers now."""
        return str(query(f"http://127.0.0.1:{self.port}", "user-7", "ads")["bundle_id"])

    def under_load(
        self, fault: str, begin: Callable[[], Any] = nothing, end: Callable[[], Any] = nothing, rate: float = RATE
    ) -> Row:
        """Return what requests got; during the fault they come at `rate`."""
        say(f"{fault}: {rate:.0f} requests a second")
        with constant_load(self.port, INSTANCES, RATE) as load:
            time.sleep(BEFORE_S)
            load.rate = rate
            begin()
            time.sleep(FAULT_S)
            end()
            end_s, load.rate = time.monotonic(), RATE
            time.sleep(AFTER_S)
        return row_of(fault, load.results, end_s)

    def of_services(self) -> Iterator[Row]:
        """Yield a row per fault of Redis, Milvus and the bundle."""
        yield self.under_load("none")
        yield self.under_load("Milvus frozen", *frozen(self.milvus))
        yield self.under_load("Milvus killed, started", lambda: kill(self.milvus), self.start_milvus)
        yield self.under_load("Redis frozen", *frozen(self.redis))
        yield self.under_load("Redis killed, started, filled", lambda: kill(self.redis), self.fill_redis)
        yield self.under_load("bundle swapped", self.swap_bundle)
        assert self.last_bundle() == self.other.manifest.id

    def of_clients(self) -> Iterator[Row]:
        """Yield a row per kind of clients: those that send half a body, and more than the server can answer."""
        with ExitStack() as slow:
            yield self.under_load(f"{NUM_SLOW} slow clients", lambda: self.connect_slowly(slow), slow.close)
        capacity = asyncio.run(ConstantLoad(self.port, INSTANCES, RATE).capacity(NUM_CLIENTS, FAULT_S))
        for times in (1, 2, 10):
            yield self.under_load(f"{times} times the capacity", rate=times * capacity)

    def terminated(self, process: subprocess.Popen) -> Row:
        """Return what requests got that were sent until SIGTERM; later ones find no server."""
        say("SIGTERM")
        with constant_load(self.port, INSTANCES, RATE) as load:
            time.sleep(FAULT_S)
            end_s = time.monotonic()
            process.terminate()
            process.wait(timeout=60)
        return row_of("SIGTERM", load.results, end_s, until_s=end_s)

    def connect_slowly(self, slow: ExitStack) -> None:
        head = b"POST /v1/models/redrec:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        for _ in range(NUM_SLOW):
            client = slow.enter_context(socket.create_connection(("127.0.0.1", self.port)))
            client.sendall(head)

    def close(self) -> None:
        for process in (self.redis, self.milvus):
            process.send_signal(signal.SIGCONT)
            kill(process)


def frozen(process: subprocess.Popen) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what stops a process and what continues it."""
    return partial(process.send_signal, signal.SIGSTOP), partial(process.send_signal, signal.SIGCONT)


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def run(_: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch, closing(Lab(Path(scratch))) as lab, lab.served() as process:
        rows = [*lab.of_services(), *lab.of_clients(), lab.terminated(process)]
    return {"rate": RATE, "rows": [row._asdict() for row in rows]}


if __name__ == "__main__":
    main("faults", run, repeats=1)
