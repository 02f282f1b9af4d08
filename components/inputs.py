"""Inputs: what a parameter names by path or URI, as a path of this pod.

A URI is a text, never a `Path`: that would make `s3:/bucket/x` of `s3://bucket/x`. A path may be on a mounted claim.
"""

from pathlib import Path

from redrec.config import InputError

OBJECT_STORES = ("s3://", "minio://")  # Kubeflow Pipelines names its own store minio://; both speak S3


def local_path(uri: str, folder: Path) -> Path:
    """Return the file or folder at `uri`; one in an object store is copied into `folder`, with the end of its name.

    The address and the credentials of the store are those that boto3 reads: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...

    Raises:
        InputError: The scheme is unknown, or the store holds no such object.
        ConnectionError: The store does not answer.

    >>> local_path("file:///mnt/claim/events.parquet", Path("unused")).as_posix()
    '/mnt/claim/events.parquet'
    """
    if uri.startswith(OBJECT_STORES):
        return _copied(uri, folder)
    scheme, separator, rest = uri.partition("://")
    if separator and scheme != "file":
        raise InputError(f"{uri}: this step cannot read {scheme}://. Give a path, file:///path, or s3://bucket/key.")
    return Path(rest if separator else uri)


def _copied(uri: str, folder: Path) -> Path:
    import boto3

    from redrec.store.bucket import plain_errors

    bucket, _, key = uri.partition("://")[2].rstrip("/").partition("/")
    out = folder / key.rpartition("/")[2]
    with plain_errors(uri):
        store = boto3.resource("s3").Bucket(bucket)
        objects = [entry.key for entry in store.objects.filter(Prefix=key) if f"{entry.key}/".startswith(f"{key}/")]
        for name in objects:
            target = Path(f"{out}{name.removeprefix(key)}")
            target.parent.mkdir(parents=True, exist_ok=True)
            store.download_file(name, str(target))
    if not objects:
        raise InputError(f"{uri}: the bucket holds no such object or folder. Correct the URI.")
    return out
