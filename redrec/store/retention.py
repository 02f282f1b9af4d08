"""Retention: the newest folders under a prefix stay, and those that are served; the others are removed."""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from redrec.config import InputError
from redrec.store.bucket import Bucket, StoredObject, plain_errors
from redrec.store.file_list import LIST

UPLOAD_AGE = timedelta(days=1)  # no upload lasts longer: an older one was stopped, and nobody went on with it


class Retained(NamedTuple):
    kept: list[str]  # newest first
    removed: list[str]


def retain(url: str, keep: int, served: Collection[str]) -> Retained:
    """Remove all folders right under `url` but the newest `keep`, those in `served`, and uploads of the last day.

    A folder's list of files goes first, so no reader sees half of it.

    Args:
        url: Where folders were published to.
        keep: How many of the newest folders stay, served or not.
        served: URLs that services read, as their storageUri has them; others than of this `url` do not matter.
    """
    if keep < 1:
        raise InputError(f"{keep} folders would stay; give 1 or more: the newest may be on its way to a service.")
    bucket = Bucket(url)
    folders = _folders(bucket)
    whole = sorted((name for name in folders if LIST in folders[name]), key=lambda name: _age(folders[name]))
    stays = set(whole[:keep]) | {name for name in folders if _is_served(bucket, name, served)}
    removed = []
    for name in sorted(folders):
        if name not in stays and (LIST in folders[name] or _age(folders[name]) > UPLOAD_AGE):
            bucket.delete([f"{name}/{LIST}"])
            bucket.delete(f"{name}/{file}" for file in folders[name])
            removed.append(name)
    _abort_old_uploads(bucket)
    return Retained([name for name in whole if name in stays], removed)


def _folders(bucket: Bucket) -> dict[str, dict[str, StoredObject]]:
    folders: dict[str, dict[str, StoredObject]] = defaultdict(dict)
    for name, entry in bucket.objects().items():
        folder, slash, rest = name.partition("/")
        if slash:
            folders[folder][rest] = entry
    return folders


def _age(files: dict[str, StoredObject]) -> timedelta:
    """Return the time since the last object, or since the list of files, which is written last."""
    changed = files[LIST].changed if LIST in files else max(file.changed for file in files.values())
    return datetime.now(UTC) - changed


def _is_served(bucket: Bucket, name: str, served: Collection[str]) -> bool:
    own = f"{bucket.url}/{name}"
    return any(uri.rstrip("/") == own or uri.startswith(f"{own}/") for uri in served)


def _abort_old_uploads(bucket: Bucket) -> None:
    """Free the segments of large objects whose upload was stopped: the store keeps them, out of sight."""
    with plain_errors(bucket.url):
        pages = bucket.client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=bucket.name, Prefix=bucket.key("")):
            for upload in page.get("Uploads", ()):
                if datetime.now(UTC) - upload["Initiated"] > UPLOAD_AGE:
                    bucket.client.abort_multipart_upload(
                        Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
