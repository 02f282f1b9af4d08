"""Content: a file and an object alike are read as a whole, replaced as a whole, and may be absent."""

from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.store.content import read_content, write_content
from tests.object_store import FaultyStore


def test_a_file_is_written_with_its_folders_and_read(tmp_path: Path):
    for uri in (f"{tmp_path}/a/history.jsonl", f"file://{tmp_path}/b/history.jsonl"):
        assert read_content(uri) is None
        for content in (b"first", b"second"):
            write_content(uri, content)
            assert read_content(uri) == content
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["history.jsonl"]


def test_an_object_is_written_and_read_in_both_stores(endpoint: str):
    uri = "s3://redrec/drift/history.jsonl"
    write_content("s3://redrec/drift/history.jsonl.old", b"another")
    assert read_content(uri) is None
    for content in (b"first", b"second"):
        write_content(uri, content)
        assert read_content(uri) == content


def test_a_store_that_refuses_is_said(store: FaultyStore):
    store.fault = lambda method, path: ("403 Forbidden", "AccessDenied") if method == "PUT" else None
    with pytest.raises(InputError, match="access denied"):
        write_content("s3://redrec/history.jsonl", b"x")
    assert read_content("s3://redrec/history.jsonl") is None
    with pytest.raises(InputError, match="hdfs:// is not read here"):
        write_content("hdfs://cluster/x", b"x")
