"""Objects: what a URL of an object store names: one object, all of a folder, or those that fit a glob.

| URL                  | store                                                                       |
|----------------------|-----------------------------------------------------------------------------|
| `s3://bucket/...`    | that of AWS_ENDPOINT_URL, else Amazon's                                     |
| `minio://bucket/...` | the same; Kubeflow Pipelines calls its own store so                         |
| `gs://bucket/...`    | Google's, which speaks S3; the login is HMAC keys, in AWS's variables       |
"""

import fnmatch
import re
from collections.abc import Iterable
from pathlib import Path

from redrec.config import InputError
from redrec.store.bucket import connect, for_each, plain_errors, transfer_config

SCHEMES = ("s3", "minio", "gs")
GLOB = re.compile(r"[*?\[]")


def is_object(uri: str) -> bool:
    """Say whether an object store has what `uri` names; a URI is a text, since a `Path` makes `s3:/x` of `s3://x`.

    >>> is_object("gs://bucket/x"), is_object("bucket/x")
    (True, False)
    """
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme in SCHEMES


class Objects:
    def __init__(self, url: str) -> None:
        self.url = url
        scheme, _, path = url.rstrip("/").partition("://")
        self.bucket, _, self.pattern = path.partition("/")
        fixed = GLOB.split(self.pattern, maxsplit=1)[0]
        self.base = fixed if fixed == self.pattern else fixed.rpartition("/")[0]
        with plain_errors(url):
            self.client = connect(scheme)

    def etags(self) -> dict[str, str]:
        """Return the ETag of each object, by key; the store gives a changed object another one."""
        etags = {}
        with plain_errors(self.url):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.base):
                for entry in page.get("Contents", ()):
                    if self._is_named(entry["Key"]):
                        etags[entry["Key"]] = entry["ETag"]
        return {self.base: etags[self.base]} if self.base in etags else etags

    def _is_named(self, key: str) -> bool:
        if self.base != self.pattern:
            return fnmatch.fnmatchcase(key, self.pattern)
        is_folder = key.endswith("/")  # an empty object that some tools make
        return not is_folder and (not self.base or f"{key}/".startswith(f"{self.base}/"))

    def copy(self, keys: Iterable[str], folder: Path) -> list[Path]:
        """Copy objects into `folder`, each under its key from the last name of the URL on.

        Raises:
            InputError: A key leads out of `folder`, or the store refuses a request.
            ConnectionError: The store cannot be reached, or failed for longer than the retries last.
        """
        parent = self.base.rpartition("/")[0]

        def fetch(key: str) -> Path:
            name = key.removeprefix(parent).lstrip("/")
            if ".." in name.split("/"):
                raise InputError(f"{self.url}: the object {key} is not copied, as its key has '..'. Rename it.")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with plain_errors(self.url):
                self.client.download_file(self.bucket, key, str(folder / name), Config=transfer_config())
            return folder / name

        return for_each(fetch, keys)


def local_path(uri: str, folder: Path) -> Path:
    """Return the file or folder at `uri`; one in an object store is copied into `folder`, with the end of its name.

    Raises:
        InputError: The scheme is unknown, or the store holds no such object.
        ConnectionError: The store does not answer.

    >>> local_path("file:///mnt/claim/events.parquet", Path("unused")).as_posix()
    '/mnt/claim/events.parquet'
    """
    if is_object(uri):
        objects = Objects(uri)
        if not objects.copy(objects.etags(), folder):
            raise InputError(f"{uri}: the bucket holds no such object or folder. Correct the URI.")
        return folder / objects.base.rpartition("/")[2]
    scheme, separator, rest = uri.partition("://")
    if separator and scheme != "file":
        raise InputError(f"{uri}: {scheme}:// is not read here. Give a path, file:///path, or s3://bucket/key.")
    return Path(rest if separator else uri)
