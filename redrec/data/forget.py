"""Forget: a user's rows out of the files of a run or data folder, and out of logs; a file that holds some is rewritten.

What is left is counted by reading again. Rows stay in their order, and a file without the user's rows stays as it is.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redrec.atomic import replaced_file
from redrec.config import InputError
from redrec.data import columns as c
from redrec.folders import DataFolder, RunFolder, read_json


class Forgotten(NamedTuple):
    """What one place held of the user, and holds now."""

    removed: int
    left: int


class Person(NamedTuple):
    """Who is forgotten: everywhere, or in one scenario."""

    user_id: str
    scenario: str | None = None

    def is_in(self, text: str) -> bool:
        """Say whether a text holds a bad row of theirs; see `redrec.data.checks`.

        >>> row = "user_id=u1, item_id=i9, scenario=ads, action=, timestamp=1"
        >>> Person("u1").is_in(row), Person("u").is_in(row), Person("u1", "search").is_in(row)
        (True, False, False)
        """
        _, found, rest = text.partition(f"{c.USER_ID}={self.user_id}, {c.ITEM_ID}=")
        return bool(found) and (self.scenario is None or f", {c.SCENARIO}={self.scenario}, " in rest)


IsTheirs = Callable[[pa.RecordBatch], pa.Array]


def check_logs(logs: Sequence[Path], person: Person) -> None:
    """Raise InputError where no user is named, or a log is no data folder and does not say whose a row is."""
    if not person.user_id:
        raise InputError("--user is empty, as the user_id of bad rows may be. Give the id of a user.")
    needed = [c.USER_ID] + ([c.SCENARIO] if person.scenario else [])
    for log in logs:
        if not DataFolder(log).events.is_file():
            _check_log(log, needed)


def _check_log(log: Path, needed: Sequence[str]) -> None:
    try:
        names = pq.read_schema(log).names
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"--log {log} is no Parquet file and no data folder. Give a file with the columns {', '.join(needed)}, or "
            "what `redrec validate --out` wrote."
        ) from error
    if missing := [name for name in needed if name not in names]:
        raise InputError(f"--log {log} has no column {', '.join(missing)}; it has {', '.join(names)}.")


def forget_in_run(run: Path, logs: Sequence[Path], person: Person) -> dict[str, Forgotten]:
    """Remove the person from a run's files, and from further tables and data folders, which `check_logs` has seen.

    Raises:
        InputError: A file may not be replaced_file. It and the later ones are as they were: mend that and call again.
    """
    found: dict[str, Forgotten] = {}
    for place in (run, *logs):
        found |= _forget_folder(place, person) if place.is_dir() else {str(place): forget_rows(place, person)}
    return found


def _forget_folder(folder: Path, person: Person) -> dict[str, Forgotten]:
    """Remove the person from what a run or data folder has of the files that may name a user."""
    data, run = DataFolder(folder), RunFolder(folder)
    forget_in: dict[Path, Callable[[Path, Person], Forgotten]] = {
        run.users: forget_rows,
        data.events: forget_rows,
        run.quarantine: _forget_quarantined,
        data.histories: _forget_history,
        run.examples: _forget_examples,
        run.quality: _forget_bad_rows,
        run.log: _forget_lines,
    }
    return {str(path): forget(path, person) for path, forget in forget_in.items() if path.exists()}


def forget_rows(path: Path, person: Person) -> Forgotten:
    """Remove the person's rows of a Parquet file with a column user_id; without a column scenario it is all of one."""

    def is_theirs(rows: pa.RecordBatch) -> pa.Array:
        is_user = pc.equal(rows[c.USER_ID].cast(pa.string()), person.user_id)  # a log may have numbers as ids
        if person.scenario is None or c.SCENARIO not in rows.schema.names:
            return is_user
        return pc.and_(is_user, pc.equal(rows[c.SCENARIO].cast(pa.string()), person.scenario))

    return _forget_batches(path, is_theirs)


def _forget_quarantined(path: Path, person: Person) -> Forgotten:
    return _forget_batches(
        path, lambda rows: pa.array([person.is_in(row or "") for row in rows["row"].to_pylist()], pa.bool_())
    )


def _forget_batches(path: Path, is_theirs: IsTheirs) -> Forgotten:
    def rewrite(fresh: Path) -> None:
        source = pq.ParquetFile(path)
        with pq.ParquetWriter(fresh, source.schema_arrow, compression=_codec(source)) as writer:
            for rows in source.iter_batches():
                if len(kept := rows.filter(pc.invert(pc.fill_null(is_theirs(rows), False)))):
                    writer.write_batch(kept)

    return _forget(path, lambda: _count(path, is_theirs), rewrite)


def _forget(path: Path, count: Callable[[], int], rewrite: Callable[[Path], object]) -> Forgotten:
    """Rewrite a file that holds something of theirs, and count again."""
    if not (removed := count()):
        return Forgotten(0, 0)
    with _writable(path), replaced_file(path) as fresh:
        rewrite(fresh)
    return Forgotten(removed, count())


def _codec(source: pq.ParquetFile) -> str:
    """Return the codec of the first column, as a writer calls it."""
    codec: str = source.metadata.row_group(0).column(0).compression
    return {"UNCOMPRESSED": "NONE", "LZ4_RAW": "LZ4"}.get(codec, codec)


def _count(path: Path, is_theirs: IsTheirs) -> int:
    return sum(pc.sum(is_theirs(rows)).as_py() or 0 for rows in pq.ParquetFile(path).iter_batches())


def _forget_history(path: Path, person: Person) -> Forgotten:
    """Cut the person's events out of the arrays of a data folder."""
    from redrec.data.forget_history import forget_history  # with Ibis, which a run alone does not need

    with _writable(path):
        return forget_history(path.parent, person)


def _forget_examples(path: Path, person: Person) -> Forgotten:
    """Remove the users shown with their history, which is of all scenarios."""

    def without(examples: Any) -> tuple[Any, int]:
        kept = [example for example in examples if example[c.USER_ID] != person.user_id]
        return kept, len(examples) - len(kept)

    return _forget_json(path, without)


def _forget_bad_rows(path: Path, person: Person) -> Forgotten:
    """Remove the bad rows that are shown as examples of their reason; counts stay, they name nobody."""

    def without(quality: Any) -> tuple[Any, int]:
        shown = quality["events"]["examples"]
        kept = {reason: [row for row in rows if not person.is_in(row)] for reason, rows in shown.items()}
        num_removed = sum(map(len, shown.values())) - sum(map(len, kept.values()))
        return {**quality, "events": {**quality["events"], "examples": kept}}, num_removed

    return _forget_json(path, without)


def _forget_json(path: Path, without: Callable[[Any], tuple[Any, int]]) -> Forgotten:
    """Rewrite the file if `without`, given its content, returns less of it and how much less."""

    def read() -> tuple[Any, int]:
        return without(read_json(path))

    def rewrite(fresh: Path) -> None:
        fresh.write_text(json.dumps(read()[0], indent=1, ensure_ascii=False), encoding="utf-8")

    return _forget(path, lambda: read()[1], rewrite)


def _forget_lines(path: Path, person: Person) -> Forgotten:
    """Remove the lines of a run's log that show a bad row of theirs, as the message of a run that stopped does."""

    def rewrite(fresh: Path) -> None:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            file.writelines(line for line in _lines(path) if not person.is_in(line))

    return _forget(path, lambda: sum(map(person.is_in, _lines(path))), rewrite)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from file


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} could not be rewritten and is as it was: {error}. Make its folder writable and run it again; what "
            "was forgotten before it stays forgotten."
        ) from error
