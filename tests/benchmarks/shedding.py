"""Load shedding: what requests get at fixed rates, by how many queries may wait, with an index in process.

    python -m tests.benchmarks.shedding --json

One `redrec serve` process per bound with 50,000 items and histories in SQLite. Rates are multiples of its capacity: how
many answers a second eight clients get that wait for each.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from redrec.folders import RunFolder
from serving.config import ServingConfig
from serving.room import MAX_REQUESTS
from tests.benchmarks.constant_load import ConstantLoad, constant_load
from tests.benchmarks.faults import NUM_CLIENTS, QUIET, row_of
from tests.benchmarks.measure import main, say
from tests.benchmarks.serving.generated import SCENARIO, generated_run, user_ids
from tests.redis_server import free_port
from tests.serving.processes import end, wait_until_ready

NUM_ITEMS, SECONDS = 50_000, 5.0
BOUNDS = (8, ServingConfig().max_waiting, 128, 10 * MAX_REQUESTS)  # the last is never reached
TIMES = (0.5, 0.9, 2.0, 10.0)
INSTANCES = [{"user_id": user, "scenario": SCENARIO, "k": 10} for user in user_ids()]


def rows_of(run: RunFolder, max_waiting: int) -> list[dict[str, Any]]:
    """Return what requests got at each rate."""
    say(f"at most {max_waiting} queries wait")
    config, port = run.path / "serving.json", free_port()
    config.write_text(ServingConfig(max_waiting=max_waiting).model_dump_json())
    options = ["--run", str(run.path), "--port", str(port), "--config", str(config)]
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "serve", *options], **QUIET)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        capacity = asyncio.run(ConstantLoad(port, INSTANCES, 1).capacity(NUM_CLIENTS, SECONDS))
        return [at_rate(port, max_waiting, times, capacity) for times in TIMES]
    finally:
        end(process)


def at_rate(port: int, max_waiting: int, times: float, capacity: float) -> dict[str, Any]:
    with constant_load(port, INSTANCES, times * capacity) as load:
        time.sleep(SECONDS)
    row = row_of(f"{times} times the capacity", load.results, time.monotonic())
    return {"max_waiting": max_waiting, "capacity": round(capacity), **row._asdict()}


def run(_: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        generated_run(Path(scratch), NUM_ITEMS)
        return {"rows": [row for bound in BOUNDS for row in rows_of(RunFolder(Path(scratch)), bound)]}


if __name__ == "__main__":
    main("shedding", run, repeats=1)
