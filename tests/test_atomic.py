"""A folder or a file is replaced as a whole: whatever fails or is killed, the old or the new one is there."""

import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from redrec import atomic
from redrec.atomic import replaced_file, replaced_folder, settle
from tests.faults import Fault, is_reached

MOST_CALLS = 100


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def can_exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Also the file systems that cannot exchange two folders, such as NFS."""
    if not request.param:
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    return request.param


def write_folder(target: Path, content: str) -> None:
    with replaced_folder(target) as new:
        (new / "a").write_text(content)
        (new / "b").write_text(content)


def folder_content(target: Path) -> str | None:
    """Return what a whole folder says; None where there is no folder."""
    if not target.exists():
        return None
    contents = {path.name: path.read_text() for path in target.iterdir()}
    assert set(contents) == {"a", "b"} and len(set(contents.values())) == 1, f"a mixture: {contents}"
    return contents["a"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def faults(fault: Fault, tmp_path: Path, function: Callable[[Path], object], prepare: Callable[[Path], object]):
    """Yield a folder for each call of `function` at which the fault happened, after `prepare` and the fault."""
    for n in count():
        folder = tmp_path / str(n)
        folder.mkdir()
        prepare(folder)
        if not is_reached(n, fault, lambda folder=folder: function(folder)):
            assert n >= 3, "no call of the operating system was seen"
            return
        yield folder
        assert n < MOST_CALLS


@pytest.mark.parametrize("fault", ["error", "kill"])
@pytest.mark.parametrize("before", ["old", None])
def test_after_a_fault_at_any_step_a_folder_is_the_old_or_the_new_one(tmp_path, can_exchange, fault, before):
    def prepare(folder: Path) -> None:
        if before:
            write_folder(folder / "out", before)

    seen = set()
    for folder in faults(fault, tmp_path, lambda folder: write_folder(folder / "out", "new"), prepare):
        if can_exchange or fault == "error":  # at once, without anybody's help
            assert folder_content(folder / "out") in (before, "new")
        settle(folder / "out")
        seen.add(folder_content(folder / "out"))
        write_folder(folder / "out", "next")
        assert folder_content(folder / "out") == "next"
        assert names(folder) == ["out"], "a temporary folder of a killed process is left"
    assert before in seen


@pytest.mark.parametrize("fault", ["error", "kill"])
@pytest.mark.parametrize("before", ["old", None])
def test_after_a_fault_at_any_step_a_file_is_the_old_or_the_new_one(tmp_path, fault, before):
    def prepare(folder: Path) -> None:
        if before:
            (folder / "out").write_text(before)

    def write_file(folder: Path) -> None:
        with replaced_file(folder / "out") as new:
            new.write_text("new")

    seen = set()
    for folder in faults(fault, tmp_path, write_file, prepare):
        seen.add((folder / "out").read_text() if (folder / "out").exists() else None)
        write_file(folder)
        assert names(folder) == ["out"] and (folder / "out").read_text() == "new"
    assert before in seen and seen <= {before, "new"}


def test_a_temporary_folder_in_use_is_left_alone(tmp_path):
    with replaced_folder(tmp_path / "out") as new:
        (new / "a").write_text("slow")
        (new / "b").write_text("slow")
        write_folder(tmp_path / "out", "quick")
        assert new.exists()
    assert folder_content(tmp_path / "out") == "slow"
    assert names(tmp_path) == ["out"]


def test_a_folder_that_somebody_else_named_so_is_left_alone(tmp_path):
    (tmp_path / ".out-a1b2c3d4").mkdir()
    (tmp_path / ".out-a1b2c3d4" / "precious").touch()
    (tmp_path / ".out-elsewhere").mkdir()
    write_folder(tmp_path / "out", "new")
    assert names(tmp_path) == [".out-a1b2c3d4", ".out-elsewhere", "out"]


def test_the_second_of_two_renames_that_fails_brings_the_old_folder_back(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", "old")
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == atomic.NEW:
            raise OSError("no space left")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no space left"):
        write_folder(tmp_path / "out", "new")
    assert folder_content(tmp_path / "out") == "old"
    assert names(tmp_path) == ["out"]


def test_a_folder_takes_its_place_at_the_end(tmp_path):
    out = tmp_path / "out"
    with replaced_folder(out) as folder:
        (folder / "file").write_text("new")
        assert not out.exists()
    assert (out / "file").read_text() == "new"
    assert names(tmp_path) == ["out"]
    assert stat.S_IMODE(out.stat().st_mode) & stat.S_IROTH  # a serving pod is another user


def test_an_error_leaves_what_was_there(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), replaced_folder(out) as folder:
        (folder / "file").write_text("new")
        1 / 0  # noqa: B018
    assert (out / "file").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_missing_file_inside_is_an_error_like_any_other(tmp_path):
    with pytest.raises(FileNotFoundError), replaced_folder(tmp_path / "out") as folder:
        (folder / "absent").read_text()
    assert names(tmp_path) == []


def test_a_folder_is_replaced_where_a_link_points_to(tmp_path):
    write_folder(tmp_path / "disk" / "out", "old")
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    write_folder(tmp_path / "out", "new")
    assert (tmp_path / "out").is_symlink()
    assert folder_content(tmp_path / "disk" / "out") == "new"


def test_a_file_is_replaced_where_a_link_points_to_and_keeps_its_mode(tmp_path):
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
