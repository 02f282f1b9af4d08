"""Split: a written split is read back, and the error for a folder without a valid one names it."""

import json

import pytest

from redrec.config import InputError
from redrec.data.split import read_split, read_vocabulary
from tests.worlds import write_split


def test_what_was_written_is_read(tmp_path):
    write_split(tmp_path, ["search", "Küche 🍳"], test_start_ms=7)
    assert read_vocabulary(tmp_path).scenarios == ("search", "Küche 🍳")
    assert read_split(tmp_path).test_start_ms == 7


def test_a_folder_that_was_not_prepared_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere is no data folder.*prepare step"):
        read_split(tmp_path / "nowhere")


def test_a_split_with_an_unknown_policy_is_named_with_the_allowed_ones(tmp_path):
    write_split(tmp_path, ["search"], test_start_ms=7)
    written = json.loads((tmp_path / "split.json").read_text())
    (tmp_path / "split.json").write_text(json.dumps(written | {"policy": "by_chance"}))
    with pytest.raises(InputError, match="split.json: policy: .*'global_time'"):
        read_split(tmp_path)
