"""Inputs by path and by URI: a URI stays whole, and an object store's objects arrive under their names."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from components.inputs import local_path
from redrec.config import InputError


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        store = boto3.client("s3")
        store.create_bucket(Bucket="tables")
        for key in ("day/events.csv", "releases/a/bundle/bundle.json", "releases/a/features/x", "releases/ab/other"):
            store.put_object(Bucket="tables", Key=key, Body=key.encode())
        yield "s3://tables"
        store.close()
        server.stop()


def test_a_path_stays_where_it_is(tmp_path: Path):
    assert local_path(f"{tmp_path}/events.csv", tmp_path / "unused") == tmp_path / "events.csv"
    assert local_path(f"file://{tmp_path}/events.csv", tmp_path / "unused") == tmp_path / "events.csv"


def test_an_object_keeps_its_name(bucket: str, tmp_path: Path):
    path = local_path(f"{bucket}/day/events.csv", tmp_path)
    assert (path.name, path.read_text()) == ("events.csv", "day/events.csv")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_has_its_own_objects_only(end: str, bucket: str, tmp_path: Path):
    """Kubeflow Pipelines names its own object store minio://."""
    path = local_path(f"{bucket.replace('s3', 'minio')}/releases/a{end}", tmp_path)
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert files == {"bundle/bundle.json", "features/x"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_not_there_is_refused(bucket: str, tmp_path: Path):
    with pytest.raises(InputError, match="no such object or folder"):
        local_path(f"{bucket}/day/items.csv", tmp_path)
    with pytest.raises(InputError, match="there is no such bucket"):
        local_path("s3://absent/events.csv", tmp_path)
    with pytest.raises(InputError, match="cannot read hdfs://"):
        local_path("hdfs://cluster/events.csv", tmp_path)
