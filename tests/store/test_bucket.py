"""The bucket: its address, its objects, and its errors as sentences."""

import time

import boto3
import pytest

from redrec.config import InputError
from redrec.store import bucket as bucket_module
from redrec.store.bucket import Bucket, for_each
from tests.object_store import FaultyStore

URL = "s3://redrec/one"


@pytest.mark.parametrize("url", ["s3://redrec", "s3://redrec/", "s3://redrec/a/b", "s3://redrec/a/b/"])
def test_names_are_relative_to_the_folder(store: FaultyStore, url: str):
    bucket = Bucket(url)
    assert bucket.url == url.rstrip("/")
    boto3.client("s3").put_object(Bucket="redrec", Key=bucket.key("x/y"), Body=b"four")
    boto3.client("s3").put_object(Bucket="redrec", Key="a/bc", Body=b"beside")
    assert bucket.objects()["x/y"].size == 4
    assert ("a/bc" in bucket.objects()) is (bucket.prefix == "")


def test_many_objects_are_deleted_in_several_requests(store: FaultyStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bucket_module, "MAX_DELETED", 3)
    bucket = Bucket(URL)
    for number in range(7):
        bucket.client.put_object(Bucket="redrec", Key=bucket.key(str(number)), Body=b"")
    assert len(bucket.objects()) == 7
    bucket.delete(bucket.objects())
    assert bucket.objects() == {}


def test_after_an_error_nothing_new_starts():
    started = []

    def fail(number: int) -> None:
        started.append(number)
        time.sleep(0.005)
        raise InputError("full")

    with pytest.raises(InputError, match="full"):
        for_each(fail, range(1000))
    assert len(started) < 100


@pytest.mark.parametrize("url", ["/tmp/x", "s3:/bucket/x", "s3://B/x", "s3://bucket/a//b", "gs://bucket/x", "s3://"])
def test_a_wrong_url_is_refused(url: str):
    with pytest.raises(InputError, match="is no folder of an object store. Give one like s3://bucket/releases"):
        Bucket(url)


def test_a_missing_bucket_is_named_with_the_command(store: FaultyStore):
    with pytest.raises(
        InputError, match="s3://nobody: there is no such bucket. Create it, as by `aws s3 mb s3://nobody`"
    ):
        Bucket("s3://nobody/x").objects()


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (
            "403 Forbidden",
            "AccessDenied",
            r"access denied \(AccessDenied: planted\). The credentials need s3:ListBucket",
        ),
        ("400 Bad Request", "ExpiredToken", "the credentials have expired .* Get new ones"),
        ("403 Forbidden", "InvalidAccessKeyId", "the store does not know the credentials .* Correct AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_refusal_is_a_sentence_with_its_remedy(store: FaultyStore, status: str, code: str, remedy: str):
    store.fault = lambda method, path: (status, code)
    with pytest.raises(InputError, match=remedy):
        Bucket(URL).objects()


def test_a_store_that_is_away_is_no_bad_input(store: FaultyStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="Look at AWS_ENDPOINT_URL"):
        Bucket(URL).objects()


def test_a_store_without_credentials_asks_for_them(store: FaultyStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials
    with pytest.raises(InputError, match="there are no credentials for the object store. Set AWS_ACCESS_KEY_ID"):
        Bucket(URL).objects()
