"""Objects by URL: one, a folder's or those of a glob, under their names; and a path of this machine as it is."""

from pathlib import Path

import boto3
import pytest

from redrec.config import InputError
from redrec.store.bucket import GOOGLE, connect
from redrec.store.objects import Objects, local_path
from tests.object_store import FaultyStore

KEYS = ("day/events.csv", "releases/a/bundle/bundle.json", "releases/a/features/x", "releases/ab/other", "releases/a/")


@pytest.fixture
def bucket(store: FaultyStore) -> str:
    for key in KEYS:
        boto3.client("s3").put_object(Bucket="redrec", Key=key, Body=key.encode())
    return "redrec"


def test_a_path_stays_where_it_is(tmp_path: Path):
    assert local_path(f"{tmp_path}/events.csv", tmp_path / "unused") == tmp_path / "events.csv"
    assert local_path(f"file://{tmp_path}/events.csv", tmp_path / "unused") == tmp_path / "events.csv"


@pytest.mark.parametrize("scheme", ["s3", "minio", "gs"])
def test_an_object_keeps_its_name(scheme: str, bucket: str, tmp_path: Path):
    """Kubeflow Pipelines names its own object store minio://."""
    path = local_path(f"{scheme}://{bucket}/day/events.csv", tmp_path)
    assert (path.name, path.read_text()) == ("events.csv", "day/events.csv")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_has_its_own_objects_only(end: str, bucket: str, tmp_path: Path):
    path = local_path(f"s3://{bucket}/releases/a{end}", tmp_path)
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert files == {"bundle/bundle.json", "features/x"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("", set(KEYS[:4])),
        ("/releases/*/bundle/*", {KEYS[1]}),
        ("/releases/a?/other", {KEYS[3]}),
        ("/day/events.csv", {KEYS[0]}),
        ("/day/events", set()),
    ],
)
def test_a_url_names_its_objects(path: str, keys: set[str], bucket: str):
    assert set(Objects(f"s3://{bucket}{path}").etags()) == keys


def test_what_is_not_there_is_refused(bucket: str, tmp_path: Path):
    with pytest.raises(InputError, match="no such object or folder"):
        local_path(f"s3://{bucket}/day/items.csv", tmp_path)
    with pytest.raises(InputError, match="there is no such bucket"):
        local_path("s3://absent/events.csv", tmp_path)
    with pytest.raises(InputError, match="hdfs:// is not read"):
        local_path("hdfs://cluster/events.csv", tmp_path)


def test_no_object_is_written_outside_the_folder(bucket: str, tmp_path: Path):
    boto3.client("s3").put_object(Bucket=bucket, Key="day/../../secret", Body=b"x")
    with pytest.raises(InputError, match=r"day/../../secret is not copied.*Rename it"):
        local_path(f"s3://{bucket}/day", tmp_path / "folder")
    assert not (tmp_path / "secret").exists()


def test_googles_store_is_asked_as_it_understands(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    google, amazon = connect("gs").meta, connect().meta
    assert google.endpoint_url == GOOGLE != amazon.endpoint_url
    assert google.config.response_checksum_validation == google.config.request_checksum_calculation == "when_required"
    assert amazon.config.response_checksum_validation == "when_supported"
