"""Preparing a log against DuckDB's merely sorting the same file by user and time, at the same memory and threads.

Each run is a process of its own, so that its peak memory is its own. It begins with a log of a few events, which is
left out of the seconds on both sides: that is what the imports take.
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
            for side, of_side in runs.items():
                of_side.append(_in_child(side, folder))
                say(f"{side} | {num_events:,} events | {of_side[-1]}")
    found = {
        side: {name: statistics.median(one[name] for one in of_side) for name in of_side[0]}
        for side, of_side in runs.items()
    }
    ratios = {f"{name}_ratio": found["prepare"][name] / found["sort"][name] for name in ("cpu_s", "wall_s")}
    events_per_cpu_s = num_events / found["prepare"]["cpu_s"]
    return {"size_bytes": size_bytes, **found, **ratios, "events_per_cpu_s": events_per_cpu_s, "runs": runs}


def _in_child(side: str, folder: Path) -> dict[str, float]:
    words = [sys.executable, "-m", __name__, side, str(folder)]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


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
