"""Upload: a folder into an object store, so that no reader sees it before it is whole.

The files come first, several at a time, then those that a reader looks for, then the list of files. An object appears
whole or not at all. What is there with the same size and hash is not sent again, so a stopped upload goes on where it
was, and two uploads of the same folder at once write the same bytes.
"""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from redrec.config import InputError
from redrec.store.bucket import Bucket, StoredObject, for_each, plain_errors, transfer_config
from redrec.store.file_list import LIST, FileEntry, FileList, read_list

logger = logging.getLogger(__name__)
HASH = "sha256"  # the key of an object's own metadata


class Upload(NamedTuple):
    url: str
    num_sent: int
    num_kept: int  # were there already


def upload_folder(folder: Path, files: FileList, url: str, last: Collection[str] = ()) -> Upload:
    """Send the listed files of a folder to `url`, those named in `last` after all others.

    Raises:
        InputError: There is another folder at `url`, or the store refuses a request.
        ConnectionError: The store cannot be reached, or failed for longer than the retries last.
    """
    bucket = Bucket(url)
    there = bucket.objects()
    _check_same(bucket, files, there)
    first = [name for name in files.files if name not in last]
    sent = _send(bucket, folder, files, first, there)
    sent += _send(bucket, folder, files, [name for name in last if name in files.files], there)
    with plain_errors(f"{bucket.url}/{LIST}"):
        bucket.client.put_object(
            Bucket=bucket.name, Key=bucket.key(LIST), Body=files.to_bytes(), ContentType="application/json"
        )
    return Upload(bucket.url, sent, len(files.files) - sent)


def _check_same(bucket: Bucket, files: FileList, there: dict[str, StoredObject]) -> None:
    """Raise InputError if `bucket` holds another folder: a reader would see a mixture of both."""
    listed = read_list(bucket)
    foreign = sorted(there.keys() - files.files.keys() - {LIST})
    if listed is not None and listed != files:
        raise InputError(f"{bucket.url} holds another folder. A folder there is written once: give another URL.")
    if foreign:
        raise InputError(
            f"{bucket.url} has {', '.join(foreign[:3])}, which this folder has not. Give another URL, or remove them."
        )


def _send(bucket: Bucket, folder: Path, files: FileList, names: Collection[str], there: dict[str, StoredObject]) -> int:
    """Send the files that are not there; return their number."""

    def send(name: str) -> bool:
        entry = files.files[name]
        if name in there and there[name].size == entry.size and _stored_hash(bucket, name) == entry.sha256:
            return False
        _send_file(bucket, folder / name, name, entry)
        return True

    return sum(for_each(send, names))


def _stored_hash(bucket: Bucket, name: str) -> str | None:
    with plain_errors(f"{bucket.url}/{name}"):
        answer = bucket.client.head_object(Bucket=bucket.name, Key=bucket.key(name))
    return answer["Metadata"].get(HASH)


def _send_file(bucket: Bucket, path: Path, name: str, entry: FileEntry) -> None:
    with plain_errors(f"{bucket.url}/{name}"):
        bucket.client.upload_file(
            str(path),
            bucket.name,
            bucket.key(name),
            ExtraArgs={"Metadata": {HASH: entry.sha256}},
            Config=transfer_config(),
        )
    logger.info("%s/%s: sent, %.1f MB", bucket.url, name, entry.size / 1e6)
