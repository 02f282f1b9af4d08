"""Releases: a run goes through an object store and is served from there, by us and by KServe."""

import shutil
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import boto3
import pytest

from redrec.bundle.reader import Bundle
from redrec.bundle.release import fetch, publish
from redrec.config import InputError
from tests import object_store
from tests.object_store import FaultyStore, killed, put_with_changed_byte

URL = "s3://redrec/releases"


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with object_store.in_environment() as store:
        yield store


@pytest.fixture
def release(run: Path) -> Path:
    """A run folder: the bundle, features, and a report that no server needs."""
    (run / "features" / "sources").mkdir(parents=True)
    (run / "features" / "sources" / "one.parquet").write_bytes(b"features")
    (run / "users.parquet").write_bytes(b"ranks of users")
    for name in ("data", "model", "tables"):
        shutil.rmtree(run / name)
    return run


def copied_by_kserve(url: str, out: Path) -> Path:
    """Copy what KServe's storage initializer copies: all objects below the URL but empty ones, unchecked."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    for entry in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ()):
        path = out / entry["Key"].removeprefix(prefix).lstrip("/")
        if entry["Size"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, entry["Key"], str(path))
    return out


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "files.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def served_tree(release: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(release).items() if name != "users.parquet"}


def test_what_is_published_is_what_a_server_reads_and_nothing_of_the_users(store, release: Path, tmp_path: Path):
    published = publish(release, URL)
    bundle_id = Bundle.load(release / "bundle").manifest.id
    assert published.upload.url == f"{URL}/{bundle_id}-{published.files.digest}"
    fetch(published.upload.url, tmp_path / "out")
    assert tree(tmp_path / "out") == served_tree(release)
    assert Bundle.load(tmp_path / "out" / "bundle").manifest.id == published.bundle_id == bundle_id


def test_kserve_copies_the_same_folder(store, release: Path, tmp_path: Path):
    copied = copied_by_kserve(publish(release, URL).upload.url, tmp_path / "models")
    assert tree(copied) == served_tree(release)
    Bundle.load(copied / "bundle")


def test_a_whole_run_is_another_folder(store, release: Path, tmp_path: Path):
    whole = publish(release, URL, is_whole=True).upload
    assert whole.url != publish(release, URL).upload.url
    fetch(whole.url, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(release)


@pytest.mark.slow
def test_no_reader_ever_sees_half_of_a_killed_upload(store, release: Path, tmp_path: Path):
    for n in count(step=4):
        object_store.empty_bucket(boto3.client("s3").meta.endpoint_url, "redrec")
        was_killed = killed(store, n, lambda: publish(release, URL))
        copied = copied_by_kserve(f"{URL}/", tmp_path / str(n))
        for manifest in copied.rglob("bundle.json"):
            assert tree(manifest.parent.parent) == served_tree(release)
        if not was_killed:
            break
        fetch(publish(release, URL).upload.url, tmp_path / "out")
        assert tree(tmp_path / "out") == served_tree(release)
    assert n > 8, "no request was seen"


def test_two_at_once_publish_one_release(store, release: Path, tmp_path: Path):
    urls = []
    threads = [threading.Thread(target=lambda: urls.append(publish(release, URL).upload.url)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert urls[0] == urls[1]
    fetch(urls[0], tmp_path / "out")
    assert tree(tmp_path / "out") == served_tree(release)


def test_a_changed_byte_in_the_store_reaches_no_server(store, release: Path, tmp_path: Path):
    url = publish(release, URL).upload.url
    endpoint = boto3.client("s3").meta.endpoint_url
    put_with_changed_byte(endpoint, "redrec", f"{url.removeprefix('s3://redrec/')}/bundle/user_tower.onnx")
    with pytest.raises(InputError, match=r"user_tower\.onnx: the list of files says"):
        fetch(url, tmp_path / "out")
    with pytest.raises(InputError, match=r"user_tower\.onnx: the manifest says"):
        Bundle.load(copied_by_kserve(url, tmp_path / "models") / "bundle")


def test_a_broken_bundle_is_not_published(store, release: Path):
    (release / "bundle" / "fallback.json").write_text("{}")
    with pytest.raises(InputError, match=r"fallback\.json: the manifest says"):
        publish(release, URL)
    assert store.puts() == []


@pytest.mark.parametrize(("kind", "sign"), [("data", "split.json"), ("model", "model.json")])
def test_data_and_model_folders_are_published_too(store, run: Path, tmp_path: Path, kind: str, sign: str):
    published = publish(run / kind, URL)
    assert published.upload.url.startswith(f"{URL}/{kind}-")
    assert store.puts()[-2:] == [f"{published.upload.url.removeprefix('s3:/')}/{name}" for name in (sign, "files.json")]
    fetch(published.upload.url, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(run / kind)


def test_another_folder_is_refused(store, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        InputError, match=r"no run, data or model folder that is whole: it has neither bundle/bundle\.json"
    ):
        publish(tmp_path, URL)
