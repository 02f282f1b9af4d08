"""Activate: which of a run's bundles is in service, and the way back to an earlier one.

The bundle in service is the run's folder `bundle`; a server that reads it takes its replacement without a restart. The
bundles before it are kept beside it, by their ids. Files of a bundle never change, so the copies are links where the
file system has them: a kept bundle takes the space of what its successors no longer share, and activating one takes
milliseconds. One that is broken is not kept: it is set aside, and is no obstacle to an earlier one. A kept one that can
no longer be read stays until as many newer ones are kept as a run keeps. At any moment, and whenever a process dies,
`bundle` is the old one or the new.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from redrec.atomic import replaced_folder
from redrec.bundle.manifest import BundleManifest, read_manifest
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.folders import BundleFolder, RunFolder

logger = logging.getLogger(__name__)

NUM_KEPT = 3  # bundles of a run, besides the one in service


class Activated(NamedTuple):
    bundle: Bundle  # in service now
    before: str | None  # id of the one that it replaced, which is kept; None if that was broken
    problem: str | None  # of a broken one, which was set aside in `RunFolder.broken`


@contextmanager
def replacing(run: RunFolder) -> Iterator[Bundle]:
    """Yield the bundle in service, kept, to whoever replaces it; one process at a time.

    Raises:
        InputError: There is none, or it is broken.
    """
    with _locked(run):
        live = Bundle.load(run.bundle)
        _keep(run, live.manifest.id)
        yield live


def kept_bundles(run: RunFolder) -> list[BundleManifest]:
    """Return the manifests of the bundles that a run keeps, the newest first, without those that cannot be read."""
    dated = []
    for folder in _kept_folders(run):
        # Broken, or of another version: `activate` says so of one that is named. Or another process has removed it.
        with suppress(InputError, FileNotFoundError):
            dated.append((read_manifest(folder), _written_s(folder)))
    dated.sort(key=lambda pair: (pair[0].created_at, pair[1]), reverse=True)  # the first has seconds alone
    return [manifest for manifest, _ in dated]


def activate(run: RunFolder, bundle_id: str) -> Activated:
    """Put a kept bundle into service; the one that it replaces is kept, or set aside if it is broken.

    Raises:
        InputError: The run keeps no such bundle, or that one is broken.
    """
    with _locked(run):
        kept = [folder.name for folder in _kept_folders(run)]
        if bundle_id not in kept:
            raise InputError(f"{run.path} keeps no bundle {bundle_id!r}; it keeps: {', '.join(kept) or 'none'}.")
        bundle = Bundle.load(run.bundles / bundle_id)
        before, problem = _take_out(run)
        _copy(run.bundles / bundle_id, run.bundle)
    return Activated(bundle._replace(path=run.bundle), before, problem)


@contextmanager
def _locked(run: RunFolder) -> Iterator[None]:
    folder = os.open(run.path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # the kernel releases it when the process dies
        yield
    finally:
        os.close(folder)


def _kept_folders(run: RunFolder) -> list[Path]:
    folders = sorted(run.bundles.iterdir()) if run.bundles.is_dir() else []
    return [folder for folder in folders if BundleFolder(folder).manifest.is_file()]


def _take_out(run: RunFolder) -> tuple[str | None, str | None]:
    """Keep the bundle in service and return its id, or set it aside and return what is wrong with it."""
    try:
        live_id = Bundle.load(run.bundle).manifest.id
    except InputError as error:
        if run.bundle.is_dir():
            _copy(run.bundle, run.broken)
        return None, str(error)
    _keep(run, live_id)
    return live_id, None


def _keep(run: RunFolder, live_id: str) -> None:
    """Keep the bundle in service, which was checked, in place of an earlier copy; remove the oldest ones."""
    _copy(run.bundle, run.bundles / live_id)
    earlier = [manifest.id for manifest in kept_bundles(run) if manifest.id != live_id]
    for bundle_id in earlier[NUM_KEPT:]:
        shutil.rmtree(run.bundles / bundle_id)
    _remove_unreadable(run, [run.bundles / bundle_id for bundle_id in (live_id, *earlier)])


def _remove_unreadable(run: RunFolder, readable: Sequence[Path]) -> None:
    """Remove what cannot be read and is older than the bundles that are kept; its own date is that of its file."""
    if len(readable) <= NUM_KEPT:
        return
    oldest_s = min(_written_s(folder) for folder in readable[: NUM_KEPT + 1])
    for folder in _kept_folders(run):
        if folder not in readable and _written_s(folder) < oldest_s:
            logger.warning("kept bundle %s cannot be read, and %d newer ones are kept: removed", folder, NUM_KEPT + 1)
            shutil.rmtree(folder)


def _written_s(folder: Path) -> float:
    return BundleFolder(folder).manifest.stat().st_mtime  # a link has that of its file


def _copy(folder: Path, target: Path) -> None:
    with replaced_folder(target) as new:
        shutil.copytree(folder, new, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
