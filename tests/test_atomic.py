"""A replaced_folder folder is whole or not there, and so is a file that is replaced_file."""

import stat

import pytest

from redrec.atomic import replaced_file, replaced_folder


def test_a_folder_takes_its_place_at_the_end(tmp_path):
    out = tmp_path / "out"
    with replaced_folder(out) as folder:
        (folder / "file").write_text("new")
        assert not out.exists()
    assert (out / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert stat.S_IMODE(out.stat().st_mode) & stat.S_IROTH  # a serving pod is another user


def test_an_error_leaves_what_was_there(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), replaced_folder(out) as folder:
        (folder / "file").write_text("new")
        1 / 0  # noqa: B018
    assert (out / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_is_rewritten_where_a_link_points_to_and_keeps_its_mode(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    with replaced_file(tmp_path / "link") as fresh:
        fresh.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_an_error_leaves_the_file_that_was_there(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), replaced_file(tmp_path / "file") as fresh:
        fresh.write_text("new")
        1 / 0  # noqa: B018
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
