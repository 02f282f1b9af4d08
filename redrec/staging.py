"""Staging: a folder is written beside its place and takes it by a rename, so nobody meets a half-written one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` at the end; after an error `out` is as it was.

    What was at `out` goes away last.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    fresh, earlier = work / "fresh", work / "earlier"
    fresh.mkdir()  # with the usual permissions, which mkdtemp's own folder has not: a serving pod is another user
    try:
        yield fresh
        if out.exists():
            out.rename(earlier)
        fresh.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
