"""Preparing a log, compared with DuckDB only sorting the same file by user and time, with the same memory and threads.

Each run is a process of its own, so that its peak memory is its own. It first handles a log of a few events, which is
not timed on either side: it loads the imports.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from redrec.data.prepare import prepare
from redrec.data.tables import MAX_MEMORY
from tests.benchmarks.features.log import write_log
from tests.benchmarks.measure import ROOT, say, used

RESULTS = ROOT / "tests" / "benchmarks" / "results"
FEW = 1000
Side = Callable[[Path], object]


def run(num_events: int, repeats: int) -> dict[str, Any]:
    RESULTS.mkdir(exist_ok=True)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with TemporaryDirectory(dir=RESULTS) as scratch:
        folder = Path(scratch)
        write_log(folder / "few", FEW)
        say(f"log | {num_events:,} events | {used(lambda: write_log(folder / 'log', num_events))}")
        size_bytes = (folder / "log" / "events.parquet").stat().st_size
        for _ in range(repeats):
            for side, side_runs in runs.items():
                side_runs.append(_in_child(side, folder))
                say(f"{side} | {num_events:,} events | {side_runs[-1]}")
    medians = {side: _medians(side_runs) for side, side_runs in runs.items()}
    ratios = {f"{name}_ratio": medians["prepare"][name] / medians["sort"][name] for name in ("cpu_s", "wall_s")}
    events_per_cpu_s = num_events / medians["prepare"]["cpu_s"]
    return {"size_bytes": size_bytes, **medians, **ratios, "events_per_cpu_s": events_per_cpu_s, "runs": runs}


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    medians = {}
    for name in runs[0]:
        medians[name] = statistics.median(measured[name] for measured in runs)
    return medians


def _in_child(side: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, side, str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _sort(log: Path) -> None:
    connection = duckdb.connect(config={"memory_limit": MAX_MEMORY, "temp_directory": str(log / "spill")})
    query = f"COPY (FROM '{log}/events.parquet' ORDER BY user_id, timestamp) TO '{log}/sorted.parquet'"
    connection.execute(query)


def _prepare(log: Path) -> None:
    prepare(log / "events.parquet", log / "items.parquet", log / "data")


SIDES: dict[str, Side] = {"sort": _sort, "prepare": _prepare}


if __name__ == "__main__":
    call, inputs = SIDES[sys.argv[1]], Path(sys.argv[2])
    call(inputs / "few")
    print(json.dumps(used(lambda: call(inputs / "log"))))
