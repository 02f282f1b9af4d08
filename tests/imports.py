"""Which modules an import loads, seen from a fresh interpreter."""

import subprocess
import sys


def modules_after_importing(module: str) -> set[str]:
    """Return the names of all modules that are loaded once `module` is imported."""
    script = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())
