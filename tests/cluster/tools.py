"""The tools for a real Kubernetes API and Helm: their location, and how a test runs them.

The folder `../shared/tools` next to the repository has them; without it these tests are skipped, with the reason.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from redrec.folders import RunFolder

ROOT = Path(__file__).parents[2]
TOOLS = ROOT.parent / "shared" / "tools"
CRDS = TOOLS.parent / "crds"
PIPE_CLOSED = (
    128 + 13
)  # one in four runs of install-kube-tools ends so: `head -1` exits before kubectl has printed everything
MAX_TRIES = 10
HOME = Path(tempfile.gettempdir()) / "redrec-kube"  # binaries stay here between runs; one cluster per machine


def run(*words: str | Path, env: dict[str, str] | None = None, stdin: str | None = None) -> str:
    """Return the output of the command; if it fails, the test fails with its error output."""
    command = [str(word) for word in words]
    for _ in range(MAX_TRIES):
        done = subprocess.run(command, env=env, input=stdin, text=True, capture_output=True, cwd=ROOT)
        if done.returncode != PIPE_CLOSED:
            break
    assert done.returncode == 0, f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-3000:]}"
    return done.stdout


def redrec(command: str, folder: RunFolder, *options: str) -> dict[str, object]:
    """Run a command of redrec on a run folder and return what it prints as JSON."""
    words = [sys.executable, "-m", "cli.main", command, "--run", folder.path, "--json", *options]
    result: dict[str, object] = json.loads(run(*words))
    return result


def helm() -> str:
    """Return the path of a real helm: the machine's own, or one installed from `../shared/tools`."""
    path = shutil.which("helm") or shutil.which("helm", path=HOME / "bin")
    if path is None and not TOOLS.is_dir():
        pytest.skip(f"helm is not on PATH and {TOOLS} is absent; install helm 3 or 4")
    if path is None:
        run(TOOLS / "install-kube-tools", HOME / "bin")
    return path or str(HOME / "bin" / "helm")


def require_pods() -> None:
    """Skip where pods cannot run: they need root, podman and the tools."""
    if not TOOLS.is_dir():
        pytest.skip(f"{TOOLS} is absent; it starts the Kubernetes API")
    if os.getuid() != 0:
        pytest.skip("pods run with podman as root; run as root")
    missing = [tool for tool in ("podman", "mmdebstrap", "iptables") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; run .ci/install-cluster-tools")
