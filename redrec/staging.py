"""Staging: a folder or a file is written beside its place and takes it by a rename, so none is met half-written."""

import os
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


@contextmanager
def rewritten(path: Path) -> Iterator[Path]:
    """Yield the place of a file that becomes `path` at the end; after an error `path` is as it was.

    A link stays a link: what it points to is rewritten.
    """
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.new")
    try:
        yield fresh
        shutil.copymode(path, fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
