"""Identity: whether a URI has the same content as before, without reading it."""

import glob
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from redrec.store.objects import Objects, is_object


def identity_of(uris: Iterable[str]) -> str:
    """Return a text that is another one after each change of the content behind the URIs; an empty URI has none.

    It is made from the ETags in an object store, and from the size and time of files. Of what can change unseen, such
    as a database's table, it is a new one at each call.
    """
    known = [_known(uri) for uri in uris if uri]
    if not all(known):
        return uuid4().hex
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _known(uri: str) -> dict[str, object]:
    if is_object(uri):
        return dict(Objects(uri).etags())
    scheme, separator, rest = uri.partition("://")
    if separator and scheme != "file":
        return {}
    return {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in _files(rest if separator else uri)}


def _files(text: str) -> list[Path]:
    path = Path(text)
    if path.is_file():
        return [path]
    matches = path.rglob("*") if path.is_dir() else map(Path, glob.glob(text, recursive=True))
    return [file for file in matches if file.is_file()]
