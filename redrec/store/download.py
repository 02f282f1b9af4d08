"""Download: a folder from an object store, each file checked against the list of files, whole or not at all."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from redrec.atomic import replaced_folder
from redrec.config import InputError
from redrec.hashing import file_hash
from redrec.store.bucket import Bucket, for_each, plain_errors, transfer_config
from redrec.store.file_list import LIST, FileEntry, FileList, parse_list, read_list

logger = logging.getLogger(__name__)


def download_folder(url: str, out: Path, check: Callable[[Path], object]) -> FileList:
    """Write the folder at `url` to `out` and return its list, once all of it is here and `check` takes it.

    A file that an earlier download to `out` wrote is copied if it is the same. `out` keeps the list, by which a later
    download knows that it may replace `out`.

    Raises:
        InputError: There is no whole folder at `url`, a file is not what the list says, or `out` has other files.
        ConnectionError: The store cannot be reached, or failed for longer than the retries last.
    """
    bucket = Bucket(url)
    files = read_list(bucket)
    if files is None:
        raise InputError(
            f"{bucket.url} is no folder that redrec published, or its upload has not ended: it has no {LIST}. Give the "
            "URL that `redrec publish` printed, or run that command again."
        )
    earlier = _earlier(out)
    with replaced_folder(out) as new:

        def fetch(name: str) -> None:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            entry = files.files[name]
            if earlier.get(name) == entry and file_hash(out / name) == entry.sha256:
                shutil.copyfile(out / name, new / name)
            else:
                _fetch_file(bucket, name, entry, new / name)

        for_each(fetch, files.files)
        check(new)
        (new / LIST).write_bytes(files.to_bytes())
    return files


def _earlier(out: Path) -> dict[str, FileEntry]:
    """Return the files of an earlier download that are still there.

    Raises:
        InputError: `out` has files, and no download wrote it.
    """
    if not out.exists():
        return {}
    if not (out / LIST).is_file():
        if out.is_file() or any(out.iterdir()):
            raise InputError(f"{out} has files that `redrec fetch` did not write. Give a new or empty folder.")
        return {}
    listed = parse_list((out / LIST).read_bytes(), str(out / LIST))
    return {name: entry for name, entry in listed.files.items() if (out / name).is_file()}


def _fetch_file(bucket: Bucket, name: str, entry: FileEntry, path: Path) -> None:
    url = f"{bucket.url}/{name}"
    with plain_errors(url):
        bucket.client.download_file(bucket.name, bucket.key(name), str(path), Config=transfer_config())
    actual = file_hash(path)
    if actual != entry.sha256:
        raise InputError(
            f"{url}: the list of files says {entry.sha256}, the object is {actual}. It was changed: remove it, and run "
            "`redrec publish` again, which sends what is missing."
        )
    logger.info("%s: here, %.1f MB", url, entry.size / 1e6)
