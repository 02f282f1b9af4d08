"""A referee's environment: built once from its requirements file, separate from the project's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from redrec.config import load_config
from tests.benchmarks.measure import say
from tests.benchmarks.referees.contract import CONFIG, RefereeConfig

HERE = Path(__file__).parent
# glibc returns a batch's logits (700 MB each) to the kernel after every step, and the kernel clears them at the next:
# half of RecTools' CPU time. A heap that keeps its memory is faster, so the referees get one.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def run(script: str, folder: Path, environments: Path) -> None:
    """Run a script of this folder on the inputs in `folder`; its output goes to standard error.

    Raises:
        CalledProcessError: The referee, or building its environment, failed; its own messages are above.
    """
    python = python_of(script.partition("_")[0], environments)
    threads = str(load_config(RefereeConfig, folder / CONFIG).num_threads)
    subprocess.run(
        [python, "-W", "ignore", HERE / f"{script}.py", "."],
        cwd=folder,  # RecBole writes its logs where it runs
        env=os.environ | KEEP_MEMORY | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        stdout=sys.stderr,
        check=True,
    )


def python_of(referee: str, environments: Path) -> Path:
    """Return the referee's Python; minutes on first use and after its requirements have changed."""
    requirements, home = HERE / f"{referee}.txt", environments.absolute() / referee
    python, installed = home / "bin" / "python", home / requirements.name
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        say(f"building {home} from {requirements.name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], stdout=sys.stderr, check=True)
        shutil.copy(requirements, installed)  # last: an interrupted install is repeated
    return python
