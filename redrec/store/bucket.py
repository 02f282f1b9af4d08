"""Bucket: a folder `s3://bucket/prefix` of an object store that speaks S3, and the store's errors as sentences.

Endpoint, region and credentials come from where AWS's own tools take them: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION,
AWS_ACCESS_KEY_ID, AWS_PROFILE, the identity of a pod, and so on. So do the retries (AWS_MAX_ATTEMPTS, AWS_RETRY_MODE)
and the checksum that goes with each request (AWS_REQUEST_CHECKSUM_CALCULATION).
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from redrec.config import InputError

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig

URL = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[\w.=+-]+(?:/[\w.=+-]+)*)?/?)?", re.ASCII
)
GOOGLE = "https://storage.googleapis.com"
# Objects at a time, and segments of one object at a time: at most 16 requests and 16 x 8 MB of memory.
NUM_OBJECTS, NUM_SEGMENTS, SEGMENT_BYTES = 4, 4, 8 * 2**20
MAX_DELETED = 1000  # objects of one request, by S3's rule
FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507"}
NO_LOGIN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
MISSING = {"NoSuchKey", "404"}
FORBIDDEN = {"AccessDenied", "AllAccessDisabled", "403"}

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class StoredObject(NamedTuple):
    size: int
    changed: datetime


class Bucket:
    """One folder of a bucket; the names of its objects are relative to it."""

    def __init__(self, url: str) -> None:
        match = URL.fullmatch(url)
        if match is None:
            raise InputError(f"{url} is no folder of an object store. Give one like s3://bucket/releases.")
        self.name, self.prefix = match["bucket"], match["prefix"] or ""
        self.url = f"s3://{self.name}/{self.prefix}".rstrip("/")
        with plain_errors(self.url):
            self.client = connect()

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def objects(self) -> dict[str, StoredObject]:
        """Return all objects in the folder and below, by name."""
        start = self.key("")
        objects = {}
        with plain_errors(self.url):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=start):
                for entry in page.get("Contents", ()):
                    name = entry["Key"].removeprefix(start)
                    objects[name] = StoredObject(entry["Size"], entry["LastModified"])
        return objects

    def delete(self, names: Iterable[str]) -> None:
        keys = [{"Key": self.key(name)} for name in names]
        with plain_errors(self.url):
            for first in range(0, len(keys), MAX_DELETED):
                batch = keys[first : first + MAX_DELETED]
                answer = self.client.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True})
                if answer.get("Errors"):
                    raise InputError(f"{self.url}: the store did not delete {answer['Errors'][0]}. Run it again.")


def connect(scheme: str = "s3") -> Any:
    """Return a client of the store that URLs of this scheme name: s3, or gs for Google's."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=NUM_OBJECTS * NUM_SEGMENTS)
    if scheme != "gs":
        return boto3.client("s3", config=config)
    # Google's store refuses requests with the checksums that boto3 adds since 1.36.
    plain = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    return boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL", GOOGLE), config=config.merge(plain))


def transfer_config() -> "TransferConfig":
    """Return how a large object is cut: in segments, which are sent and retried one by one."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=SEGMENT_BYTES, multipart_chunksize=SEGMENT_BYTES, max_concurrency=NUM_SEGMENTS
    )


def for_each(function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> list[ResultT]:
    """Call the function for `NUM_OBJECTS` items at a time; after an error no further call starts.

    >>> for_each(str, [1, 2])
    ['1', '2']
    """
    pool = ThreadPoolExecutor(NUM_OBJECTS)
    try:
        return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def plain_errors(url: str) -> Iterator[None]:
    """Turn an error of the store into an InputError, or a ConnectionError if the caller cannot mend it.

    `url` is the folder or object that the caller reads or writes.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except ClientError as error:
        raise refusal(url, error.response) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InputError(
            f"{url}: there are no credentials for the object store. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or run as a pod whose ServiceAccount has an identity."
        ) from error
    except Boto3Error as error:  # an upload's error hides the store's answer
        if isinstance(error.__context__, ClientError):
            raise refusal(url, error.__context__.response) from error
        raise ConnectionError(f"{url}: {error}. Look whether the store is up, and run it again.") from error
    except BotoCoreError as error:
        raise ConnectionError(f"{url}: {error} Look at AWS_ENDPOINT_URL and AWS_DEFAULT_REGION.") from error


def refusal(url: str, answer: dict[str, Any]) -> Exception:
    """Return the error for what the store answered.

    >>> refusal("s3://b/x", {"Error": {"Code": "QuotaExceeded", "Message": "5 GB"}})
    InputError('s3://b/x: the bucket is full (QuotaExceeded: 5 GB). Free space, see `redrec retain`, and run it again.')
    """
    code, message = str(answer["Error"]["Code"]), answer["Error"].get("Message", "")
    said, bucket = f"({code}: {message})", "/".join(url.split("/")[:3])
    if code in FULL:
        return InputError(f"{url}: the bucket is full {said}. Free space, see `redrec retain`, and run it again.")
    if code == "NoSuchBucket":
        return InputError(
            f"{bucket}: there is no such bucket. Create it, as by `aws s3 mb {bucket}`, or correct the URL."
        )
    if code in MISSING:
        return InputError(f"{url} is not there {said}. Run `redrec publish` again, which sends what is missing.")
    if code in EXPIRED:
        return InputError(f"{url}: the credentials have expired {said}. Get new ones, and run it again.")
    if code in NO_LOGIN:
        return InputError(
            f"{url}: the store does not know the credentials {said}. Correct AWS_ACCESS_KEY_ID and others."
        )
    if code in FORBIDDEN:
        return InputError(
            f"{url}: access denied {said}. The credentials need s3:ListBucket and s3:GetObject to read, s3:PutObject "
            "to write, and s3:DeleteObject to remove."
        )
    return ConnectionError(f"{url}: the store answers {said}. What is there already is kept: run it again.")
