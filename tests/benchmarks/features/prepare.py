"""Preparing a log against DuckDB's merely sorting the same file by user and time, at the same memory and threads.

Each run is a process of its own, so that its peak memory is its own; starting Python and the imports are left out of
the seconds, on both sides.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.measure import ROOT, say, used

RESULTS = ROOT / "tests" / "benchmarks" / "results"
SIDES = ("sort", "prepare")


def run(num_events: int, repeats: int) -> dict[str, Any]:
    RESULTS.mkdir(exist_ok=True)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with TemporaryDirectory(dir=RESULTS) as scratch:
        say(f"log | {num_events:,} events | {_in_child('log', Path(scratch), num_events)}")
        size = (Path(scratch) / "events.parquet").stat().st_size
        for _ in range(repeats):
            for side in SIDES:
                runs[side].append(_in_child(side, Path(scratch), num_events))
                say(f"{side} | {num_events:,} events | {runs[side][-1]}")
    found = {
        side: {name: _spread([one[name] for one in of_side]) for name in of_side[0]} for side, of_side in runs.items()
    }
    cpu_s, wall_s = ({side: found[side][name]["median"] for side in SIDES} for name in ("cpu_s", "wall_s"))
    return {
        "event_bytes": size,
        **found,
        "cpu_ratio": cpu_s["prepare"] / cpu_s["sort"],
        "wall_ratio": wall_s["prepare"] / wall_s["sort"],
        "events_per_cpu_s": num_events / cpu_s["prepare"],
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _in_child(side: str, folder: Path, num_events: int) -> dict[str, float]:
    words = [sys.executable, "-m", __name__, side, str(folder), str(num_events)]
    found: dict[str, float] = json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)
    return found


def _log(folder: Path, num_events: int) -> dict[str, float]:
    from tests.benchmarks.features.log import write_log

    return used(lambda: write_log(folder, num_events))


def _sort(folder: Path, _num_events: int) -> dict[str, float]:
    import duckdb

    from redrec.data.tables import MAX_MEMORY

    connection = duckdb.connect(config={"memory_limit": MAX_MEMORY, "temp_directory": str(folder / "spill")})
    query = f"COPY (FROM '{folder}/events.parquet' ORDER BY user_id, timestamp) TO '{folder}/sorted.parquet'"
    return used(lambda: connection.execute(query))


def _prepare(folder: Path, _num_events: int) -> dict[str, float]:
    from redrec.data.prepare import prepare
    from redrec.data.tables import connect

    connect()  # its imports
    return used(lambda: prepare(folder / "events.parquet", folder / "items.parquet", folder / "data"))


if __name__ == "__main__":
    of_side = {"log": _log, "sort": _sort, "prepare": _prepare}[sys.argv[1]]
    print(json.dumps(of_side(Path(sys.argv[2]), int(sys.argv[3]))))
