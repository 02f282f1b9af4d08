"""The identity of inputs: the same for the same content, another one after any change, and none of a guess."""

import os
from pathlib import Path

import boto3

from redrec.store.identity import identity_of
from tests.object_store import FaultyStore


def put(key: str, body: bytes) -> None:
    boto3.client("s3").put_object(Bucket="redrec", Key=key, Body=body)


def test_an_object_that_changes_within_its_size_has_another_identity(store: FaultyStore):
    put("tables/events.csv", b"one")
    urls = ["s3://redrec/tables/events.csv", "s3://redrec/tables", "gs://redrec/tables/*.csv", "minio://redrec"]
    before = [identity_of([url]) for url in urls]
    assert [identity_of([url]) for url in urls] == before
    put("tables/events.csv", b"two")
    assert not set(before) & {identity_of([url]) for url in urls}
    put("tables/events.csv", b"one")
    assert [identity_of([url]) for url in urls] == before


def test_a_file_that_changes_within_its_size_has_another_identity(tmp_path: Path):
    file = tmp_path / "day" / "events.csv"
    file.parent.mkdir()
    file.write_text("one")
    uris = [str(file), f"file://{file}", str(file.parent), f"{file.parent}/*.csv"]
    before = [identity_of([uri]) for uri in uris]
    assert [identity_of([uri]) for uri in uris] == before
    later = file.stat().st_mtime_ns + 1
    file.write_text("two")
    os.utime(file, ns=(later, later))
    assert not set(before) & {identity_of([uri]) for uri in uris}


def test_a_file_with_the_signs_of_a_glob_in_its_name_is_itself(tmp_path: Path):
    (tmp_path / "events[1].csv").write_text("one")
    assert identity_of([str(tmp_path / "events[1].csv")]) == identity_of([str(tmp_path / "events[1].csv")])


def test_what_can_change_unseen_is_new_each_time(tmp_path: Path, store: FaultyStore):
    (tmp_path / "items.csv").write_text("one")
    for unseen in ("postgres://host/shop#events", str(tmp_path / "absent.csv"), "s3://redrec/absent.csv"):
        uris = [str(tmp_path / "items.csv"), unseen]
        assert identity_of(uris) != identity_of(uris)


def test_without_uris_nothing_changes():
    assert identity_of([""]) == identity_of(["", ""])
