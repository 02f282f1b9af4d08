"""Side by side: how much longer trainings take when several run at once on one machine.

Without loss, each of n trainings takes as many CPU seconds as one alone, and n times its wall time once the CPUs are
full. The rival is the libraries' default: threads that spin while they wait for each other.

    python -m tests.benchmarks.side_by_side --json
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from redrec.cpus import usable_cpus
from redrec.data.prepare import prepare
from redrec.datasets.world import World, WorldConfig

NUM_AT_ONCE = (1, 3)
SPINNING = {"GOMP_SPINCOUNT": "300000", "OPENBLAS_THREAD_TIMEOUT": "26"}  # the libraries' own defaults


def trainings(data: Path, folder: Path, num: int, num_steps: int, environment: dict[str, str]) -> dict[str, float]:
    """Run `num` trainings at once; return wall seconds, and CPU seconds of one of them."""
    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps({"optimizer": {"num_steps": num_steps}}))
    command = [sys.executable, "-m", "redrec.training", "--data", str(data), "--recipe", str(recipe), "--out"]
    start, cpu_start = time.perf_counter(), _children_cpu_s()
    running = [
        subprocess.Popen(
            [*command, str(folder / str(n))],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for n in range(num)
    ]
    for process in running:
        if process.wait() != 0:
            raise RuntimeError("a training failed")
    cpu_s = (_children_cpu_s() - cpu_start) / num
    return {"wall_s": round(time.perf_counter() - start, 1), "cpu_s": round(cpu_s, 1)}


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.side_by_side", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--steps", type=int, default=100, help="steps of each training (default: 100)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    arguments = parser.parse_args()
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        prepare(*World(WorldConfig()).write(Path(scratch) / "tables"), data)
        for name, environment in (("redrec", {}), ("libraries' defaults", SPINNING)):
            for num in NUM_AT_ONCE:
                folder = Path(scratch) / f"{len(rows)}"
                folder.mkdir()
                rows[f"{name}, {num} at once"] = trainings(data, folder, num, arguments.steps, environment)
    result = {"cpus": usable_cpus(), "steps": arguments.steps, "rows": rows}
    print(json.dumps(result) if arguments.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
