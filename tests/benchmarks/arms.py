"""Arms: request time and memory of a predictor with two bundles beside one, and changes of the allocation under load.

Both servers run in turn, request by request, on the same users and inline histories; one has the control alone, the
other both arms, a followed allocation and an exposure log. Item vectors have the default recipe's sizes; the towers are
a few ONNX nodes, so what is measured is all that surrounds them. Then the allocation changes while clients query
without a pause.

    python -m tests.benchmarks.arms --json
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from redrec.experiments.allocation import Allocation
from tests import bundles as generated
from tests.benchmarks.measure import cpu_s, main, say, status_mib
from tests.serving.clients import Clients
from tests.serving.experiments import Server, TwoBundles, serving, two_bundles

SIZES = (2_000, 20_000)  # items; the demo has 1,800
VECTOR_DIM, EMBEDDING_DIM = 64, 64  # of the default recipe
NUM_CHANGES = 20
NUM_CLIENTS = 2


def memory_mib(server: Server) -> dict[str, int]:
    """Return the resident memory, and what of it is no file that another process could share."""
    names = {"rss_mib": "VmRSS", "anonymous_mib": "RssAnon"}
    return {name: round(status_mib(server.process.pid, field)) for name, field in names.items()}


def beside_each_other(servers: dict[str, Server], num_requests: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of one request by percentile, CPU milliseconds, and memory of each server."""
    walls: dict[str, list[float]] = {name: [] for name in servers}
    cpus = dict.fromkeys(servers, 0.0)
    for number in range(-(num_requests // 10), num_requests):
        if number == 0:  # what came before warmed up
            cpus = {name: cpu_s(server.process.pid) for name, server in servers.items()}
            walls = {name: [] for name in servers}
        for name, server in servers.items():
            begin = time.perf_counter()
            server.predict("ads", [f"u{number}"], k=10)
            walls[name].append(1000 * (time.perf_counter() - begin))
    rows = {}
    for name, server in servers.items():
        p50, p99 = np.quantile(walls[name], [0.5, 0.99])
        used_ms = 1000 * (cpu_s(server.process.pid) - cpus[name]) / num_requests
        rows[name] = {"p50_ms": p50, "p99_ms": p99, "cpu_ms": used_ms}
        rows[name] = {key: round(value, 2) for key, value in rows[name].items()} | memory_mib(server)
    return rows


def changes_under_load(server: Server, bundles: TwoBundles) -> dict[str, Any]:
    plan = bundles.plan()
    turns = [Allocation(plan=plan, serves={"ads": "treatment"}), Allocation(plan=plan)]
    with Clients(server.arms_of_new_users, NUM_CLIENTS) as clients:
        seconds = [server.allocate(turns[number % 2]) for number in range(NUM_CHANGES)]
    return {
        "changes": NUM_CHANGES,
        "seconds_to_effect_max": round(max(seconds), 2),
        "requests": len(clients.answers) + len(clients.errors),
        "failed": len(clients.errors),
    }


def run(num_requests: int) -> dict[str, Any]:
    generated.VECTOR_DIM, generated.EMBEDDING_DIM = VECTOR_DIM, EMBEDDING_DIM
    result = {}
    for num_items in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            say(f"{num_items:,} items: building two bundles")
            bundles = two_bundles(folder, num_items)
            one_folder, two_folder = folder / "one", folder / "two"
            one_folder.mkdir()
            two_folder.mkdir()
            with (
                serving(bundles, one_folder, None) as one,
                serving(bundles, two_folder, Allocation(plan=bundles.plan())) as two,
            ):
                say(f"{num_items:,} items: {num_requests:,} requests to each server, in turn")
                rows = beside_each_other({"one bundle": one, "two bundles": two}, num_requests)
                result[f"{num_items} items"] = {**rows, "under load": changes_under_load(two, bundles)}
    return {"sizes": result}


if __name__ == "__main__":
    main("arms", run, repeats=1000)
