"""Retention: the newest folders and those that are served stay, whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from redrec.config import InputError
from redrec.store import retention
from redrec.store.bucket import Bucket
from redrec.store.file_list import LIST, list_files
from redrec.store.retention import retain
from redrec.store.upload import upload_folder
from tests.object_store import FaultyStore

URL = "s3://redrec/releases"


@pytest.fixture
def releases(store: FaultyStore, tmp_path: Path) -> list[str]:
    """Four folders, the oldest first; S3 counts whole seconds, so their age is set by the test."""
    names = ["d", "a", "c", "b"]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / "file").write_text(name)
        upload_folder(tmp_path / "in", list_files(tmp_path / "in"), f"{URL}/{name}")
    return names


@pytest.fixture(autouse=True)
def ages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make folder d the oldest, then a, c and b."""
    objects = Bucket.objects

    def aged(bucket: Bucket) -> dict:
        now = datetime.now(UTC)
        return {
            name: entry._replace(changed=now - timedelta(days=1 + "bcad".index(name[0]), seconds=name.endswith("file")))
            for name, entry in objects(bucket).items()
        }

    monkeypatch.setattr(Bucket, "objects", aged)


def left() -> set[str]:
    return {name.split("/")[0] for name in Bucket(URL).objects()}


def test_the_newest_stay(releases: list[str]):
    assert retain(URL, 2, []) == (["b", "c"], ["a", "d"])
    assert left() == {"b", "c"}


@pytest.mark.parametrize("uri", [f"{URL}/d", f"{URL}/d/", f"{URL}/d/bundle"])
def test_what_is_served_stays_however_old(releases: list[str], uri: str):
    assert retain(URL, 1, ["pvc://claim/x", uri]) == (["b", "d"], ["a", "c"])
    assert left() == {"b", "d"}


def test_another_folder_of_a_longer_name_is_not_taken_for_the_served_one(releases: list[str]):
    assert "a" in retain(URL, 1, [f"{URL}/ab", f"{URL}2/a"]).removed


def test_an_upload_that_goes_on_stays_and_a_stopped_one_is_removed(
    releases: list[str], monkeypatch: pytest.MonkeyPatch
):
    for name in ("d", "c"):
        boto3.client("s3").delete_object(Bucket="redrec", Key=f"releases/{name}/{LIST}")
    monkeypatch.setattr(retention, "UPLOAD_AGE", timedelta(days=3))
    assert retain(URL, 1, []) == (["b"], ["a", "d"])
    assert left() == {"b", "c"}


def test_the_list_goes_first_so_that_no_reader_sees_half_a_folder(releases: list[str], store: FaultyStore):
    deleted = 0

    def fail_at_the_second(method: str, path: str) -> tuple[str, str] | None:
        nonlocal deleted
        deleted += method == "POST"
        return ("403 Forbidden", "AccessDenied") if deleted == 2 else None

    store.fault = fail_at_the_second
    with pytest.raises(InputError, match="access denied"):
        retain(URL, 3, [])
    store.fault = None
    assert {name for name in Bucket(URL).objects() if name.startswith("d")} == {"d/file"}
    assert retain(URL, 3, []).removed == ["d"]


def test_segments_of_a_stopped_upload_are_freed(releases: list[str], monkeypatch: pytest.MonkeyPatch):
    client = boto3.client("s3")
    client.create_multipart_upload(Bucket="redrec", Key="releases/e/large")
    monkeypatch.setattr(retention, "UPLOAD_AGE", timedelta(days=36_500))  # moto says that all began in 2010
    retain(URL, 4, [])
    assert len(client.list_multipart_uploads(Bucket="redrec")["Uploads"]) == 1, "it may go on"
    monkeypatch.setattr(retention, "UPLOAD_AGE", timedelta(days=1))
    retain(URL, 4, [])
    assert not client.list_multipart_uploads(Bucket="redrec").get("Uploads")


def test_none_would_stay_is_refused(releases: list[str]):
    with pytest.raises(InputError, match="0 folders would stay; give 1 or more"):
        retain(URL, 0, [])
