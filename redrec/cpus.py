"""CPUs: how many this process may use, and the threads that libraries start accordingly.

Libraries count the CPUs of the host. A process often may use fewer: its affinity and the quotas of its control groups
(containers, pods) say so. Threads in excess take turns, and while they wait for each other they spin: on a busy machine
most of the CPU time is then lost.
"""

import math
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # the first also sets PyArrow's
NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}  # the latter in powers of two of cycles


def limit_threads(environment: MutableMapping[str, str]) -> None:
    """Set what libraries read when they are loaded, so call it before they are imported; what is set already stays."""
    for name in THREADS:
        environment.setdefault(name, str(usable_cpus()))
    for name, value in NO_SPINNING.items():
        environment.setdefault(name, value)


def usable_cpus(root: Path = Path("/")) -> int:
    """Return the number of CPUs that the affinity and the control groups' quotas allow, at least 1; rounded up."""
    quotas = [len(os.sched_getaffinity(0)), *_quotas(root)]
    return max(1, math.ceil(min(quotas)))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota, in CPUs, of each control group that this process is in, and of the groups around it."""
    groups = root / "proc/self/cgroup"
    lines = groups.read_text(encoding="utf-8").splitlines() if groups.is_file() else []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:  # version 2
            folder, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            folder, read = root / "sys/fs/cgroup/cpu", _quota_v1
        else:
            continue
        group = folder / name.strip("/")
        for path in (group, *group.parents):
            if path.is_relative_to(folder):  # inside a container its own group may be the root
                yield read(path)


def _quota_v2(group: Path) -> float:
    quota, period = _words(group / "cpu.max", "max 100000")
    return math.inf if quota == "max" else int(quota) / int(period)


def _quota_v1(group: Path) -> float:
    (quota,), (period,) = _words(group / "cpu.cfs_quota_us", "-1"), _words(group / "cpu.cfs_period_us", "100000")
    return math.inf if int(quota) <= 0 else int(quota) / int(period)


def _words(path: Path, default: str) -> list[str]:
    return (path.read_text(encoding="utf-8") if path.is_file() else default).split()
