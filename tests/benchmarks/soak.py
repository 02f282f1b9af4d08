"""Soak: memory and open files of a server that answers at half its capacity for many minutes.

One predictor with two bundles, an allocation, histories in SQLite and an exposure log. Requests are of many users in two
scenarios, with a stored history, one of their own, or none. A minute is one repeat:

    python -m tests.benchmarks.soak --json --repeats 30
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from redrec.experiments.allocation import Allocation
from tests import bundles as generated
from tests.benchmarks.arms import EMBEDDING_DIM, VECTOR_DIM, memory_mib
from tests.benchmarks.constant_load import ConstantLoad, Result, constant_load
from tests.benchmarks.measure import main, say
from tests.serving.experiments import HISTORY, Server, serving, two_bundles

NUM_ITEMS, NUM_USERS = 20_000, 5_000
NUM_CLIENTS, CAPACITY_S, MINUTE_S = 8, 10.0, 60.0


def instances() -> list[dict[str, object]]:
    """Return one instance per user: a third have a history of their own, of the others few are known to the store."""
    histories: tuple[dict[str, object], ...] = ({"history": HISTORY}, {}, {})
    return [
        {"user_id": f"u{n}", "scenario": ("homefeed", "ads")[n % 2], "k": 10, **histories[n % 3]}
        for n in range(NUM_USERS)
    ]


def state(server: Server) -> dict[str, int]:
    process = Path(f"/proc/{server.process.pid}")
    opened = [os.readlink(link) for link in (process / "fd").iterdir()]
    sockets = sum(target.startswith("socket:") for target in opened)  # as many as the clients keep
    threads = len(list((process / "task").iterdir()))
    return {**memory_mib(server), "open_files": len(opened) - sockets, "sockets": sockets, "threads": threads}


def answered(results: list[Result]) -> dict[str, Any]:
    """Return the numbers of answers by their source, of other statuses, and the milliseconds of an answer."""
    counts = Counter(result.source or str(result.status) for result in results)
    p50, p99 = np.quantile([1000 * result.seconds for result in results], [0.5, 0.99]).round(1).tolist()
    return {"requests": len(results), **counts, "p50_ms": p50, "p99_ms": p99}


def soaked(server: Server, num_minutes: int) -> dict[str, Any]:
    """Return the state of the server after each minute; the first minute warms up."""
    port, queries = urlsplit(server.url).port or 0, instances()
    rate = asyncio.run(ConstantLoad(port, queries, 1).capacity(NUM_CLIENTS, CAPACITY_S)) / 2
    say(f"{rate:.0f} requests a second")
    states = []
    with constant_load(port, queries, rate) as load:
        for minute in range(num_minutes + 1):
            time.sleep(MINUTE_S)
            states.append(state(server))
            say(f"minute {minute} | {states[-1]}")
    return {"rate": round(rate, 1), **answered(load.results), "minutes": states}


def run(num_minutes: int) -> dict[str, Any]:
    generated.VECTOR_DIM, generated.EMBEDDING_DIM = VECTOR_DIM, EMBEDDING_DIM
    with tempfile.TemporaryDirectory() as scratch:
        bundles = two_bundles(Path(scratch), NUM_ITEMS)
        with serving(bundles, Path(scratch), Allocation(plan=bundles.plan())) as server:
            result = soaked(server, num_minutes)
    first = result["minutes"][0]
    most = {name: max(minute[name] for minute in result["minutes"]) for name in first}
    return {**result, "first": first, "most": most}


if __name__ == "__main__":
    main("soak", run, repeats=30)
