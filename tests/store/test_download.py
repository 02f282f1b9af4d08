"""Downloads: whole and checked, or not at all."""

from pathlib import Path

import boto3
import pytest

from redrec.config import InputError
from redrec.store.download import download_folder
from redrec.store.file_list import LIST, list_files
from redrec.store.upload import upload_folder
from tests.object_store import FaultyStore, put_with_changed_byte

URL = "s3://redrec/one"


@pytest.fixture
def published(store: FaultyStore, folder: Path) -> FaultyStore:
    upload_folder(folder, list_files(folder), URL)
    store.requests.clear()
    return store


def download(out: Path) -> None:
    download_folder(URL, out, lambda folder: None)


@pytest.mark.parametrize("name", ["large", "last"])
def test_a_changed_byte_is_refused_and_repaired_by_a_second_upload(endpoint, folder, tmp_path, name):
    upload_folder(folder, list_files(folder), URL)
    download(tmp_path / "out")
    put_with_changed_byte(endpoint, "redrec", f"one/{name}")
    with pytest.raises(InputError, match=f"{URL}/{name}: the list of files says .* It was changed: remove it"):
        download(tmp_path / "new")
    assert not (tmp_path / "new").exists()

    boto3.client("s3").delete_object(Bucket="redrec", Key=f"one/{name}")
    assert upload_folder(folder, list_files(folder), URL).num_sent == 1
    download(tmp_path / "new")
    assert (tmp_path / "new" / name).read_bytes() == (folder / name).read_bytes()


def test_what_an_earlier_download_wrote_is_not_sent_again(published: FaultyStore, tmp_path: Path):
    download(tmp_path / "out")
    (tmp_path / "out" / "last").write_text("lost")  # with the size of the true one
    published.requests.clear()
    download(tmp_path / "out")
    assert (tmp_path / "out" / "last").read_text() == "last"
    assert {path for _, path in published.requests} == {f"/redrec/one/{LIST}", "/redrec/one/last"}


def test_a_missing_object_is_named_and_the_old_folder_stays(published: FaultyStore, tmp_path: Path):
    download(tmp_path / "out")
    (tmp_path / "out" / "large").unlink()
    boto3.client("s3").delete_object(Bucket="redrec", Key="one/large")
    with pytest.raises(InputError, match=f"{URL}/large is not there .* Run `redrec publish` again"):
        download(tmp_path / "out")
    assert (tmp_path / "out" / "last").read_text() == "last"


def test_files_of_somebody_else_are_not_replaced(published: FaultyStore, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "theirs").write_text("x")
    with pytest.raises(InputError, match="out has files that `redrec fetch` did not write. Give a new or empty folder"):
        download(tmp_path / "out")
    assert (tmp_path / "out" / "theirs").read_text() == "x"


def test_a_folder_that_the_check_refuses_is_not_written(published: FaultyStore, tmp_path: Path):
    def refuse(folder: Path) -> None:
        assert (folder / "last").read_text() == "last"
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        download_folder(URL, tmp_path / "out", refuse)
    assert not (tmp_path / "out").exists()
