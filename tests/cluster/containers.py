"""Run a pipeline as KFP's local runner does, with each step in a container of the image.

A step's container has what a pod has: a user without rights, a read-only root, no capabilities, a writable /tmp and
the artifacts' folder. It has no network. `python -m tests.cluster.containers IMAGE PIPELINE ARGUMENTS STEPS` prints a
line `MEASURED {...}` a step.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path

from kfp.local import subprocess_task_handler

from pipelines import local

MARK = "MEASURED "
USER = 10001
# Runs the step's command in the container, and says who it was and what it took.
MEASURE = f"""
import json, os, resource, subprocess, sys, time
started = time.monotonic()
status = subprocess.run(sys.argv[1:]).returncode
(capabilities,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff"))
print({MARK!r} + json.dumps({{
    "step": sys.argv[sys.argv.index("--function_to_execute") + 1],
    "seconds": round(time.monotonic() - started, 1),
    "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    "user": os.getuid(),
    "capabilities": int(capabilities, 16),
    "writable": [folder for folder in ("/", "/opt/redrec", "/opt/venv", "/tmp") if os.statvfs(folder).f_flag & os.ST_RDONLY == 0],
}}), flush=True)
sys.exit(status)
"""


def container(image: str, mounts: dict[Path, str], environment: dict[str, str]) -> list[str]:
    """Return the command that starts a container of the image as a pod would, without its own command."""
    words = ["podman", "run", "--rm", "--network=none", "--read-only", f"--user={USER}", "--cap-drop=all"]
    words += ["--security-opt=no-new-privileges", "--tmpfs=/tmp", "--entrypoint=python3"]
    words += [f"--volume={path}:{path}:{mode}" for path, mode in mounts.items()]
    words += [f"--env={name}={value}" for name, value in environment.items()]
    return [*words, image, "-c", MEASURE]


def main(image: str, pipeline: str, arguments: dict[str, str], steps: Path) -> None:
    inputs = {Path(value).parent: "ro" for value in arguments.values() if value.startswith("/")}

    def run_in_container(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        make_writable(steps)
        return subprocess.run(container(image, {**inputs, steps: "rw"}, env_vars or {}) + full_command).returncode

    @contextmanager
    def image_python(**options: object) -> Iterator[str]:
        yield "python3"

    subprocess_task_handler.run_local_subprocess = run_in_container
    subprocess_task_handler.environment = image_python
    local.main(pipeline, arguments, steps)


def make_writable(steps: Path) -> None:
    """Let the container's user write: on a cluster, KFP's launcher makes these folders as the same user."""
    for folder, _, _ in os.walk(steps):
        if os.stat(folder).st_uid != USER:
            os.chmod(folder, 0o777)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], loads(sys.argv[3]), Path(sys.argv[4]))
