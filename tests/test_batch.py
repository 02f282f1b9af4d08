"""Batch: the folders of a batch by name, and one table of each name in a folder."""

from pathlib import Path

import pytest

from redrec.batch import folders_in, named_in
from redrec.config import InputError


def test_the_folders_of_a_batch_come_in_the_order_of_their_names(tmp_path: Path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "file.json").touch()
    assert list(folders_in(tmp_path, "tables")) == [("a", tmp_path / "a"), ("b", tmp_path / "b")]


def test_a_folder_without_folders_is_no_batch(tmp_path: Path):
    with pytest.raises(InputError, match="has no folders. Give one that has a folder each with tables"):
        list(folders_in(tmp_path, "tables"))


def test_a_table_is_found_by_its_name_and_two_of_it_are_refused(tmp_path: Path):
    (tmp_path / "items.csv").touch()
    assert named_in(tmp_path, "items") == tmp_path / "items.csv"
    with pytest.raises(InputError, match=r"events\.\*.*seen: none"):
        named_in(tmp_path, "events")
    (tmp_path / "items.parquet").touch()
    with pytest.raises(InputError, match=r"items\.\*.*seen: items\.csv, items\.parquet"):
        named_in(tmp_path, "items")
