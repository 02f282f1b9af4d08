"""A process that ends with its parent: the parent is killed, and what it has started ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.house.source import ROOT

CHILD = """
import subprocess, sys, time
from pipelines.parent import end_with_parent
end_with_parent(int(sys.argv[1]))
print(subprocess.Popen(["sleep", "100"]).pid, flush=True)
time.sleep(100)
"""
PARENT = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], start_new_session=True)
time.sleep(100)
"""


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().split()[2] != "Z"  # a dead one may wait for its new parent


def ends(pid: int) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end and is_running(pid):
        time.sleep(0.05)
    return not is_running(pid)


def test_the_children_of_a_killed_process_end():
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert is_running(grandchild)
        parent.send_signal(signal.SIGKILL)
    assert ends(grandchild)


def test_a_process_whose_parent_has_ended_before_ends_at_once():
    with subprocess.Popen([sys.executable, "-c", CHILD, "1"], cwd=ROOT, start_new_session=True) as orphan:
        assert orphan.wait(20) == -signal.SIGKILL
    assert os.getpgid(0) != orphan.pid
