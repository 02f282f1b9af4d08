"""Release: a run's bundle and features in an object store, in the layout that KServe reads by `storageUri: s3://...`.

Each release has a folder of its own, named by its content, which never changes. KServe copies what it sees there and
checks nothing, so the bundle's manifest comes after all other files: the predictor refuses a bundle without one.
"""

from pathlib import Path
from typing import NamedTuple

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.folders import BundleFolder, DataFolder, ModelFolder, RunFolder
from redrec.store.bucket import Bucket
from redrec.store.download import download_folder
from redrec.store.file_list import FileList, list_files
from redrec.store.upload import Upload, upload_folder


class Published(NamedTuple):
    upload: Upload
    bundle_id: str | None  # None: a data or model folder
    files: FileList


def publish(folder: Path, url: str, *, is_whole: bool = False) -> Published:
    """Check a run, data or model folder and upload it to a folder of `url` that is named by its content.

    Of a run the bundle and the features are uploaded, which is what a server reads; with `is_whole` all of it.

    Raises:
        InputError: It is no such folder, its bundle is broken, or the store refuses it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist. Give what `redrec run` or `redrec validate` wrote.")
    Bucket(url)  # a wrong URL is said before minutes of hashing
    manifest = RunFolder(folder).bundle / BundleFolder(RunFolder(folder).bundle).manifest.name
    if manifest.is_file():
        return _publish_run(RunFolder(folder), url, manifest.relative_to(folder).as_posix(), is_whole)
    last_files = {"data": DataFolder(folder).split, "model": ModelFolder(folder).manifest}
    for kind, last in last_files.items():
        if last.is_file():
            files = list_files(folder)
            upload = upload_folder(folder, files, f"{url.rstrip('/')}/{kind}-{files.digest}", [last.name])
            return Published(upload, None, files)
    raise InputError(
        f"{folder} is no run, data or model folder that is whole: it has neither {manifest.relative_to(folder)} nor "
        f"{' nor '.join(path.name for path in last_files.values())}. Give what `redrec run` or `redrec validate` wrote."
    )


def _publish_run(run: RunFolder, url: str, manifest: str, is_whole: bool) -> Published:
    bundle_id = Bundle.load(run.bundle).manifest.id
    files = list_files(run.path, None if is_whole else {run.bundle.name, run.features.name})
    upload = upload_folder(run.path, files, f"{url.rstrip('/')}/{bundle_id}-{files.digest}", [manifest])
    return Published(upload, bundle_id, files)


def fetch(url: str, out: Path) -> FileList:
    """Write a published folder to `out`; an earlier one there is replaced as a whole.

    Raises:
        InputError: It is not whole, a file of it was changed, its bundle is broken, or `out` has other files.
    """
    return download_folder(url, out, _check)


def _check(folder: Path) -> None:
    run = RunFolder(folder)
    if run.bundle.is_dir():
        Bundle.load(run.bundle)
