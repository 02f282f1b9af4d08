"""Atomic replacement of a file or a folder: at any moment, and whenever a process dies, the old or the new is whole.

The new content is written beside its target. A file then takes the target's name in one step. So does a folder: it is
exchanged with the target (`renameat2`). A file system that cannot exchange, such as NFS, needs two renames; a process
that is killed between them leaves the old folder in its temporary one, and `settle` puts it back.

A process holds a lock on its temporary folder, which the kernel releases when the process dies. So `settle`, and with
it the next replacement of the same target, tells the folders of killed processes from those in use and removes them.
"""

import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

LOCK, NEW, OLD = "lock", "new", "old"  # all that a temporary folder may hold
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2
CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV)


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write, which becomes `path` at the end; after an error `path` is as it was.

    A link stays a link: what it points to is replaced. An existing file's permissions are kept.
    """
    path = path.resolve()
    new = path.with_name(f".{path.name}.new")
    try:
        yield new
        if path.exists():
            shutil.copymode(path, new)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder, which becomes `target` at the end; after an error `target` is as it was.

    A link stays a link. The old folder is removed last.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    settle(target)
    with _temporary_folder(target) as work:
        new = work / NEW
        new.mkdir()  # with the usual permissions, unlike mkdtemp's own folder: a serving pod is another user
        yield new
        _replace(target, new, work / OLD)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what a replacement in the same place does not have; None if there is nothing at the moment."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def settle(target: Path) -> None:
    """Remove the temporary folders of killed processes; put `target` back if one died between its two renames."""
    target = target.resolve()
    pattern = re.compile(rf"\.{re.escape(target.name)}-[a-z0-9_]{{8}}")  # as mkdtemp names them
    beside = sorted(target.parent.iterdir()) if target.parent.is_dir() else []
    for work in beside:
        if pattern.fullmatch(work.name) and _is_ours(work):
            _remove_unused(work, target)


def _is_ours(work: Path) -> bool:
    """Say whether a folder holds nothing that somebody else put there."""
    try:
        return {path.name for path in work.iterdir()} <= {LOCK, NEW, OLD}
    except OSError:  # it is a file, is gone, or belongs to another user
        return False


def _remove_unused(work: Path, target: Path) -> None:
    with suppress(OSError), (work / LOCK).open("a") as lock:  # a lock that cannot be had: the folder is in use
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (work / OLD).exists() and not target.exists():
            (work / OLD).rename(target)
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    """Give a locked folder beside the target and remove it at the end."""
    work, lock = _locked_folder(target)
    with lock:
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _locked_folder(target: Path) -> tuple[Path, TextIO]:
    """Make a folder and lock it; again where `settle` in another process removed it before it was locked."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        with suppress(FileNotFoundError):
            lock = (work / LOCK).open("a")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (work / LOCK).exists():
                return work, lock
            lock.close()


def _replace(target: Path, new: Path, old: Path) -> None:
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))
