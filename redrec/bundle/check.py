"""Bundle check: whether a folder holds a bundle of this version; it imports nothing that takes long."""

import json
from pathlib import Path

from redrec.config import InputError
from redrec.folders import BundleFolder, RunFolder, read_json

FORMAT = 6  # of the manifest; an older one has an index of its own files, and other figures of it


def check_bundle(path: Path) -> None:
    """Check that `path` has a manifest of this version's format.

    Raises:
        InputError: It has none; the message says what the folder is, if that can be seen.
    """
    manifest = BundleFolder(path).manifest
    if not path.is_dir():
        raise InputError(f"Bundle folder {path} does not exist. Give the folder `bundle` of a finished run.")
    if not manifest.is_file():
        bundle = RunFolder(path).bundle
        if BundleFolder(bundle).manifest.is_file():
            raise InputError(f"{path} is a run folder, not a bundle. Give its bundle: {bundle}.")
        raise InputError(f"{path} is no bundle: it has no {manifest.name}. Give the folder that build_bundle wrote.")
    number = _format(manifest)
    if number != FORMAT:
        raise InputError(
            f"{manifest} has the format {number}, and this version of redrec reads {FORMAT}. Build the bundle again, "
            "or serve it with the version that built it."
        )


def check_run(path: Path) -> None:
    """Check that `path` is a run folder with a bundle of this version's format.

    Raises:
        InputError: It is none.
    """
    if not path.is_dir():
        raise InputError(f"Run folder {path} does not exist. Give the folder that `redrec run --out` wrote.")
    if not BundleFolder(RunFolder(path).bundle).manifest.is_file():
        raise InputError(f"{path} is no run folder: it has no bundle. Give the folder that `redrec run --out` wrote.")
    check_bundle(RunFolder(path).bundle)


def _format(manifest: Path) -> object:
    try:
        content = read_json(manifest)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{manifest} cannot be read: {error}. Copy the bundle again, or build it again.") from error
    return content.get("format") if isinstance(content, dict) else None
