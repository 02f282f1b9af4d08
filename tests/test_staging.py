"""A staged folder is whole or not there."""

import stat

import pytest

from redrec.staging import staged


def test_a_folder_takes_its_place_at_the_end(tmp_path):
    out = tmp_path / "out"
    with staged(out) as folder:
        (folder / "file").write_text("new")
        assert not out.exists()
    assert (out / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert stat.S_IMODE(out.stat().st_mode) & stat.S_IROTH  # a serving pod is another user


def test_an_error_leaves_what_was_there(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), staged(out) as folder:
        (folder / "file").write_text("new")
        1 / 0  # noqa: B018
    assert (out / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
