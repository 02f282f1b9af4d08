"""The list of files: what it names, and which lists are refused."""

import json
from pathlib import Path

import boto3
import pytest

from redrec.config import InputError
from redrec.hashing import file_hash
from redrec.store.bucket import Bucket
from redrec.store.file_list import LIST, FileEntry, list_files, parse_list, read_list
from tests.object_store import FaultyStore

URL = "s3://redrec/one"


def test_a_list_has_size_and_hash_of_each_file_and_not_itself(folder: Path):
    (folder / LIST).write_text("of an earlier download")
    files = list_files(folder)
    assert files.files.keys() == {"large", "last", "sub/small"}
    assert files.files["sub/small"] == FileEntry(size=5, sha256=file_hash(folder / "sub" / "small"))
    assert parse_list(files.to_bytes(), "here") == files


def test_only_the_chosen_names_are_listed(folder: Path):
    assert list_files(folder, {"sub"}).files.keys() == {"sub/small"}


def test_the_digest_tells_contents_and_names_apart(folder: Path):
    before = list_files(folder).digest
    assert list_files(folder).digest == before
    (folder / "last").rename(folder / "final")
    renamed = list_files(folder).digest
    (folder / "final").write_text("other")
    assert len({before, renamed, list_files(folder).digest}) == 3


def test_a_folder_without_a_list_has_none(store: FaultyStore):
    assert read_list(Bucket(URL)) is None


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//b", ""])
def test_a_list_that_names_a_file_outside_the_folder_is_refused(store: FaultyStore, name: str):
    files = {"format": 1, "files": {name: {"size": 1, "sha256": "0" * 64}}}
    boto3.client("s3").put_object(Bucket="redrec", Key=f"one/{LIST}", Body=json.dumps(files).encode())
    with pytest.raises(InputError, match="no file inside the folder"):
        read_list(Bucket(URL))


@pytest.mark.parametrize(
    ("content", "error"),
    [(b'{"format": 2, "files": {}}', "has the format 2, and this version of redrec reads 1"), (b"{", "is no list of")],
)
def test_a_list_of_another_version_is_refused(store: FaultyStore, content: bytes, error: str):
    boto3.client("s3").put_object(Bucket="redrec", Key=f"one/{LIST}", Body=content)
    with pytest.raises(InputError, match=error):
        read_list(Bucket(URL))


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="has no files"):
        list_files(tmp_path)
