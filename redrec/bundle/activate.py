"""Activate: which of a run's bundles is in service, and the way back to an earlier one.

The bundle in service is the run's folder `bundle`; a server that reads it takes its replacement without a restart. The
bundles before it are kept beside it, by their ids. Files of a bundle never change, so the copies are links where the
file system has them: a kept bundle takes the space of what its successors no longer share, and activating one takes
milliseconds. At any moment, and whenever a process dies, `bundle` is the old one or the new.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redrec.atomic import replaced_folder
from redrec.bundle.manifest import BundleManifest
from redrec.bundle.reader import Bundle
from redrec.config import InputError, load_config
from redrec.folders import BundleFolder, RunFolder

NUM_KEPT = 3  # bundles of a run, besides the one in service


@contextmanager
def replacing(run: RunFolder) -> Iterator[Bundle]:
    """Yield the bundle in service, kept, to whoever replaces it; one process at a time.

    Raises:
        InputError: There is none, or it is broken.
    """
    folder = os.open(run.path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # the kernel releases it when the process dies
        live = Bundle.load(run.bundle)
        _keep(run, live.manifest.id)
        yield live
    finally:
        os.close(folder)


def kept_bundles(run: RunFolder) -> list[BundleManifest]:
    """Return the manifests of the bundles that a run keeps, the newest first."""
    folders = sorted(run.bundles.iterdir()) if run.bundles.is_dir() else []
    files = [BundleFolder(folder).manifest for folder in folders]
    manifests = [load_config(BundleManifest, file) for file in files if file.is_file()]
    return sorted(manifests, key=lambda manifest: manifest.created_at, reverse=True)


def activate(run: RunFolder, bundle_id: str) -> Bundle:
    """Put a kept bundle into service, keep the one that it replaces, and return it loaded.

    Raises:
        InputError: The run keeps no such bundle, or it is broken.
    """
    kept = [manifest.id for manifest in kept_bundles(run)]
    if bundle_id not in kept:
        raise InputError(f"{run.path} keeps no bundle {bundle_id!r}; it keeps: {', '.join(kept) or 'none'}.")
    Bundle.load(run.bundles / bundle_id)
    with replacing(run):
        _copy(run.bundles / bundle_id, run.bundle)
    return Bundle.load(run.bundle)


def _keep(run: RunFolder, live_id: str) -> None:
    if not BundleFolder(run.bundles / live_id).manifest.is_file():
        _copy(run.bundle, run.bundles / live_id)
    earlier = [manifest.id for manifest in kept_bundles(run) if manifest.id != live_id]
    for bundle_id in earlier[NUM_KEPT:]:
        shutil.rmtree(run.bundles / bundle_id)


def _copy(folder: Path, target: Path) -> None:
    with replaced_folder(target) as new:
        shutil.copytree(folder, new, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
