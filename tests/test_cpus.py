"""CPUs: affinity and quotas are read as the kernel writes them, and set the threads of a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redrec.cpus import limit_threads, usable_cpus

AVAILABLE = len(os.sched_getaffinity(0))


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    """Write a file system as the kernel shows it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, AVAILABLE),
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/pod/container\n", {"pod/cpu.max": "50000 100000\n", "pod/container/cpu.max": "max 100000\n"}, 1),
        ("4:memory:/\n3:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu,cpuacct:/on/the/host\n", {"cpu/cpu.cfs_quota_us": "1000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, AVAILABLE),
        ("5:cpuset:/\n", {}, AVAILABLE),
        ("", {}, AVAILABLE),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, groups: str, files: dict[str, str], expected: int):
    assert usable_cpus(machine(tmp_path, groups, files)) == expected


@pytest.mark.parametrize(("quota", "expected"), [("150000", 2), ("400000", 4), ("900000", 6)])
def test_a_share_of_a_cpu_is_rounded_up_and_the_affinity_is_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    assert usable_cpus(machine(tmp_path, "0::/\n", {"cpu.max": f"{quota} 100000\n"})) == expected


def test_what_the_environment_has_stays():
    environment = {"OMP_NUM_THREADS": "7"}
    limit_threads(environment)
    assert environment["OMP_NUM_THREADS"] == "7"
    assert environment["OPENBLAS_NUM_THREADS"] == str(usable_cpus())
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


THREADS = """
import os
{first}
import duckdb, numpy, pyarrow, torch
from threadpoolctl import threadpool_info
from redrec.data.tables import connect
duck = connect().con.execute("SELECT current_setting('threads')").fetchone()[0]
blas = [pool["num_threads"] for pool in threadpool_info()]
print(torch.get_num_threads(), pyarrow.cpu_count(), duck, max(blas))
"""


@pytest.mark.skipif(AVAILABLE < 2, reason="one CPU: every number of threads is one")
def test_every_library_starts_as_many_threads_as_the_process_may_use():
    """The process is bound to one CPU by its affinity."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    first = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nfrom redrec.cpus import limit_threads\nlimit_threads(os.environ)"
    script = THREADS.format(first=first)
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["1"] * 4
