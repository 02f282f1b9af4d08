"""Batch: many inputs of a command, each in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

from redrec.config import InputError


def folders_in(folder: Path, contents: str) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the folders in `folder`; `contents` says in the error what each of them has.

    Raises:
        InputError: There is none.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not folders:
        raise InputError(f"{folder} has no folders. Give one that has a folder each with {contents}.")
    yield from ((path.name, path) for path in folders)


def named_in(folder: Path, stem: str) -> Path:
    """Return the file or folder with that name before its type, such as items.parquet.

    Raises:
        InputError: There is none, or there are two.
    """
    matches = matches_in(folder, stem)
    if len(matches) != 1:
        seen = ", ".join(sorted(path.name for path in matches)) or "none"
        raise InputError(f"{folder} has one file or folder {stem}.*, such as {stem}.parquet; seen: {seen}.")
    return matches[0]


def matches_in(folder: Path, stem: str) -> list[Path]:
    return [path for path in folder.iterdir() if path.stem == stem]
