"""File list: the files of a folder in an object store, with size and hash; the last object of every upload.

A folder without it is not visible to `redrec`: its upload goes on, or was stopped.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationError

from redrec.config import InputError, Record
from redrec.hashing import file_hash
from redrec.store.bucket import Bucket, plain_errors

LIST = "files.json"
FORMAT = 1
DIGEST_DIGITS = 8  # after an id of 16 digits


def _inside(name: str) -> str:
    """Return the name if it stays inside the folder: a list from a bucket names the files that are written here.

    >>> _inside("bundle/bundle.json")
    'bundle/bundle.json'
    """
    segments = name.split("/")
    if "\\" in name or "\0" in name or {"", ".", ".."} & set(segments):
        raise ValueError(f"{name!r} is no file inside the folder")
    return name


class FileEntry(Record):
    size: int
    sha256: str


class FileList(Record):
    format: int = FORMAT
    files: dict[Annotated[str, AfterValidator(_inside)], FileEntry]

    @property
    def digest(self) -> str:
        """What tells two contents with the same names from each other."""
        hashes = {name: entry.sha256 for name, entry in self.files.items()}
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]

    def to_bytes(self) -> bytes:
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True).encode()


def list_files(folder: Path, names: Collection[str] | None = None) -> FileList:
    """Return the files of a folder, read and hashed; `names` are the folders and files in it that count, None: all."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_chosen = names is None or name.split("/")[0] in names
        if path.is_file() and is_chosen and name != LIST:
            files[name] = FileEntry(size=path.stat().st_size, sha256=file_hash(path))
    if not files:
        raise InputError(f"{folder} has no files. Give a run, data or model folder.")
    return FileList(files=files)


def read_list(bucket: Bucket) -> FileList | None:
    """Return the list of a folder in the store, or None where there is none.

    Raises:
        InputError: The list is broken, or of another version.
    """
    from botocore.exceptions import ClientError

    url = f"{bucket.url}/{LIST}"
    with plain_errors(url):
        try:
            content = bucket.client.get_object(Bucket=bucket.name, Key=bucket.key(LIST))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
    return parse_list(content, url)


def parse_list(content: bytes, source: str) -> FileList:
    remedy = "Publish the folder again under another URL."
    try:
        files = FileList.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{source} is no list of files: {error.errors()[0]['msg']}. {remedy}") from error
    if files.format != FORMAT:
        raise InputError(f"{source} has the format {files.format}, and this version of redrec reads {FORMAT}. {remedy}")
    return files
