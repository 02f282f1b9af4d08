"""Measuring, the same way in every benchmark: warm up, repeat, median with extremes, wall seconds and CPU seconds.

Quality is measured with an interval over users and seeds.

Shapes: R seeds, U users, B resamples.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
NUM_RESAMPLES = 1000
METRICS = ("hit_rate@10", "ndcg@10")  # of models, in tables


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def used_by(command: list[str]) -> dict[str, float]:
    """Return the seconds of a process, and its peak memory."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}")
    return {
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "wall_s": round(time.perf_counter() - begin, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a running process so far."""
    if pid == os.getpid():
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(call: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return wall and CPU milliseconds of one call; the first call warms up and is not measured."""
    call()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    return {
        "wall_ms": statistics.median(walls),
        "wall_ms_min": min(walls),
        "wall_ms_max": max(walls),
        "cpu_ms": statistics.median(cpus),
    }


def over_users_and_seeds(values_RU: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean over users and seeds and its 95 % interval, over resamples of both; nan is no evidence.

    With three seeds it is still a little too narrow: a resample has fewer distinct seeds than there are.
    """
    rng, (num_seeds, num_users) = np.random.default_rng(0), values_RU.shape
    means_B = np.empty(NUM_RESAMPLES)
    for b in range(NUM_RESAMPLES):
        of_seeds_U = values_RU[rng.integers(num_seeds, size=num_seeds)].mean(0)
        means_B[b] = np.nanmean(of_seeds_U[rng.integers(num_users, size=num_users)])
    low, high = np.quantile(means_B, [0.025, 0.975])
    return {"value": float(np.nanmean(values_RU)), "low": float(low), "high": float(high)}


def used(call: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of one call, and the peak memory of this process so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2), "peak_mib": peak_mib()}


def peak_mib() -> int:
    """Return the most memory that this process had, without what the one that started it had (as `ru_maxrss` has)."""
    return round(status_mib(os.getpid(), "VmHWM"))


def status_mib(pid: int, field: str) -> float:
    """Return a figure of a running process's memory, as `VmRSS`, or `RssAnon`: what is no file that others could share."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def main(name: str, run: Callable[[int], dict[str, Any]], repeats: int) -> None:
    """Parse `--json` and `--repeats`, run the benchmark, and print its result."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.{name}")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"measured calls (default: {repeats})")
    arguments = parser.parse_args()
    result = {"benchmark": name, "commit": commit(), "machine": platform.processor() or platform.machine()}
    result |= run(arguments.repeats)
    print(json.dumps(result, indent=None if arguments.json else 1))


def commit() -> str:
    """Return the commit, with `-dirty` if the tree differs from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout.strip() or "no commit"
