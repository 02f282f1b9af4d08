"""Uploads: whatever stops one, no reader sees half a folder, and the next one completes it."""

import threading
from itertools import count
from pathlib import Path

import boto3
import pytest

from redrec.config import InputError
from redrec.store.bucket import Bucket
from redrec.store.download import download_folder
from redrec.store.file_list import LIST, list_files
from redrec.store.upload import Upload, upload_folder
from tests.object_store import FaultyStore, killed

URL = "s3://redrec/releases/one"


def upload(folder: Path) -> Upload:
    return upload_folder(folder, list_files(folder), URL, ["last"])


def readable(tmp_path: Path) -> bool:
    """Say whether the folder can be downloaded; then it is whole, or the download fails."""
    try:
        download_folder(URL, tmp_path / "out", lambda folder: None)
    except InputError as error:
        assert "no folder that redrec published, or its upload has not ended" in str(error)
        return False
    return True


def check_order(folder: Path) -> None:
    """KServe reads what is there: the reader's sign only with all others, the list of files only with the sign."""
    names = set(Bucket(URL).objects())
    assert "last" not in names or names >= {"large", "sub/small"}
    assert LIST not in names or "last" in names


def test_a_folder_comes_back_as_it_was_and_is_sent_once(endpoint: str, folder: Path, tmp_path: Path):
    assert (upload(folder).num_sent, upload(folder).num_kept) == (3, 3)
    assert readable(tmp_path)
    for name in ("large", "sub/small", "last"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_the_store_checks_and_keeps_a_checksum_of_each_object(endpoint: str, folder: Path):
    upload(folder)
    for name in ("large", "last", LIST):
        key = f"releases/one/{name}"
        assert boto3.client("s3").head_object(Bucket="redrec", Key=key, ChecksumMode="ENABLED")["ChecksumCRC32"]


def test_an_upload_killed_at_any_request_is_invisible_and_a_second_one_completes_it(
    store: FaultyStore, folder: Path, tmp_path: Path
):
    for n in count():
        Bucket(URL).delete(list(Bucket(URL).objects()))
        was_killed = killed(store, n, lambda: upload(folder))
        check_order(folder)
        assert readable(tmp_path) is (LIST in Bucket(URL).objects())
        if not was_killed:
            break
        upload(folder)
        assert readable(tmp_path)
    assert n > 8, "no request was seen"


def test_a_full_bucket_is_named_and_a_second_upload_sends_only_the_rest(store: FaultyStore, folder: Path, tmp_path):
    def full(method: str, path: str) -> tuple[str, str] | None:
        return ("507 Insufficient Storage", "QuotaExceeded") if method == "PUT" and path.endswith("last") else None

    store.fault = full
    with pytest.raises(
        InputError, match=r"s3://redrec/releases/one/last: the bucket is full \(QuotaExceeded: planted\)"
    ):
        upload(folder)
    assert not readable(tmp_path)
    store.fault = None
    assert upload(folder) == Upload(URL, num_sent=1, num_kept=2)
    assert readable(tmp_path)


def test_a_busy_store_is_called_again(store: FaultyStore, folder: Path, tmp_path: Path):
    failed = set()

    def busy_once(method: str, path: str) -> tuple[str, str] | None:
        if (method, path) in failed:
            return None
        failed.add((method, path))
        return "503 Slow Down", "SlowDown"

    store.fault = busy_once
    upload(folder)
    assert len(failed) > 5
    assert readable(tmp_path)


def test_two_uploads_at_once_do_not_harm_each_other(endpoint: str, folder: Path, tmp_path: Path):
    threads = [threading.Thread(target=upload, args=(folder,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        check_order(folder)
    assert readable(tmp_path)
    assert (tmp_path / "out" / "large").read_bytes() == (folder / "large").read_bytes()


def test_another_folder_does_not_replace_the_one_that_is_there(store: FaultyStore, folder: Path):
    upload(folder)
    (folder / "last").write_text("other")
    with pytest.raises(InputError, match="holds another folder. A folder there is written once: give another URL"):
        upload(folder)


def test_objects_of_somebody_else_are_not_mixed_with_ours(store: FaultyStore, folder: Path):
    boto3.client("s3").put_object(Bucket="redrec", Key="releases/one/theirs", Body=b"x")
    with pytest.raises(InputError, match="has theirs, which this folder has not. Give another URL, or remove them"):
        upload(folder)
