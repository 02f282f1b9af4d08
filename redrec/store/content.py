"""Content: one small file at a path or a URL of an object store, read and written as a whole."""

from pathlib import Path
from tempfile import TemporaryDirectory

from redrec.atomic import replaced_file
from redrec.store.bucket import plain_errors
from redrec.store.objects import Objects, is_object, local_path


def read_content(uri: str) -> bytes | None:
    """Return what is at `uri`, and None if nothing is there.

    Raises:
        InputError: The scheme is unknown, or the store refuses the request.
        ConnectionError: The store does not answer.
    """
    if is_object(uri):
        objects = Objects(uri)
        if objects.pattern not in objects.etags():
            return None
        with TemporaryDirectory() as scratch:
            (path,) = objects.copy([objects.pattern], Path(scratch))
            return path.read_bytes()
    path = local_path(uri, Path())
    return path.read_bytes() if path.exists() else None


def write_content(uri: str, content: bytes) -> None:
    """Replace what is at `uri`: a reader sees the old content or the new, and so does one after a kill.

    Raises:
        InputError: The scheme is unknown, or the store refuses the request.
        ConnectionError: The store does not answer.
    """
    if is_object(uri):
        objects = Objects(uri)
        with plain_errors(uri):
            objects.client.put_object(Bucket=objects.bucket, Key=objects.pattern, Body=content)
        return
    path = local_path(uri, Path())
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as new:
        new.write_bytes(content)
