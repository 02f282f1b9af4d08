"""A full disk: a folder on a file system of its own, a small one in memory, for commands of one shell."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT


def with_small_disk(folder: Path, size_kib: int, script: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands that see a disk of that size at `folder`; `$PYTHON` is this interpreter."""
    apart = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of his own (unshare --map-root-user --mount)")
    mount = f"PYTHON={sys.executable}; mount -t tmpfs -o size={size_kib}k tmpfs {folder}"
    command = [*apart, "sh", "-c", f"{mount} && {script}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
