"""Forget: remove a user's rows from the files of a run or data folder, and from logs.

A file with rows of the user is rewritten, in the same order, and read again to count the rows that are left. Other
files are not touched.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redrec.atomic import replaced_file
from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.person import Forgotten, Person
from redrec.folders import DataFolder, RunFolder, read_json

IsTheirs = Callable[[pa.RecordBatch], pa.Array]


def check_logs(logs: Sequence[Path], person: Person) -> None:
    """Raise InputError if the user id is empty, or a log is no data folder and no table with the needed columns."""
    if not person.user_id:
        raise InputError("--user is empty; the user_id of bad rows may be empty too. Give the id of a user.")
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
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"--log {log} has no column {', '.join(missing)}; it has {', '.join(names)}.")


def forget_in_run(run: Path, logs: Sequence[Path], person: Person) -> dict[str, Forgotten]:
    """Remove the person from a run's files, and from further tables and data folders that `check_logs` has checked.

    Raises:
        InputError: A file may not be replaced. This file and the later ones are unchanged: fix that and call again.
    """
    results: dict[str, Forgotten] = {}
    for path in (run, *logs):
        results |= _forget_folder(path, person) if path.is_dir() else {str(path): forget_rows(path, person)}
    return results


def _forget_folder(folder: Path, person: Person) -> dict[str, Forgotten]:
    """Remove the person from the files of a run or data folder that may name a user, if they exist."""
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
    """Remove the person's rows of a Parquet file with a column user_id; without a column scenario, all of the user."""

    def is_theirs(rows: pa.RecordBatch) -> pa.Array:
        is_user = pc.equal(rows[c.USER_ID].cast(pa.string()), person.user_id)  # the ids of a log may be numbers
        if person.scenario is None or c.SCENARIO not in rows.schema.names:
            return is_user
        return pc.and_(is_user, pc.equal(rows[c.SCENARIO].cast(pa.string()), person.scenario))

    return _forget_batches(path, is_theirs)


def _forget_quarantined(path: Path, person: Person) -> Forgotten:
    def is_theirs(rows: pa.RecordBatch) -> pa.Array:
        return pa.array([person.is_in(row or "") for row in rows["row"].to_pylist()], pa.bool_())

    return _forget_batches(path, is_theirs)


def _forget_batches(path: Path, is_theirs: IsTheirs) -> Forgotten:
    def rewrite(fresh: Path) -> None:
        source = pq.ParquetFile(path)
        with pq.ParquetWriter(fresh, source.schema_arrow, compression=_codec(source)) as writer:
            for rows in source.iter_batches():
                kept = rows.filter(pc.invert(pc.fill_null(is_theirs(rows), False)))
                if len(kept):
                    writer.write_batch(kept)

    return _forget(path, lambda: _count(path, is_theirs), rewrite)


def _forget(path: Path, count: Callable[[], int], rewrite: Callable[[Path], object]) -> Forgotten:
    """Rewrite a file that holds rows of the person, and count again."""
    removed = count()
    if removed == 0:
        return Forgotten(0, 0)
    with _writable(path), replaced_file(path) as fresh:
        rewrite(fresh)
    return Forgotten(removed, count())


def _codec(source: pq.ParquetFile) -> str:
    """Return the codec of the first column, by its name in a writer."""
    codec: str = source.metadata.row_group(0).column(0).compression
    return {"UNCOMPRESSED": "NONE", "LZ4_RAW": "LZ4"}.get(codec, codec)


def _count(path: Path, is_theirs: IsTheirs) -> int:
    return sum(pc.sum(is_theirs(rows)).as_py() or 0 for rows in pq.ParquetFile(path).iter_batches())


def _forget_history(path: Path, person: Person) -> Forgotten:
    """Remove the person's events from the arrays of a data folder."""
    from redrec.data.forget_history import forget_history  # imports Ibis, which a run folder does not need

    with _writable(path):
        return forget_history(path.parent, person)


def _forget_examples(path: Path, person: Person) -> Forgotten:
    """Remove the user's examples; each shows a history of all scenarios."""

    def without(examples: Any) -> tuple[Any, int]:
        kept = [example for example in examples if example[c.USER_ID] != person.user_id]
        return kept, len(examples) - len(kept)

    return _forget_json(path, without)


def _forget_bad_rows(path: Path, person: Person) -> Forgotten:
    """Remove the bad rows that are shown as examples of a reason; the counts stay, since they name nobody."""

    def without(quality: Any) -> tuple[Any, int]:
        shown = quality["events"]["examples"]
        kept = {reason: _others(rows, person) for reason, rows in shown.items()}
        num_removed = sum(map(len, shown.values())) - sum(map(len, kept.values()))
        return {**quality, "events": {**quality["events"], "examples": kept}}, num_removed

    return _forget_json(path, without)


def _others(rows: Sequence[str], person: Person) -> list[str]:
    return [row for row in rows if not person.is_in(row)]


def _forget_json(path: Path, without: Callable[[Any], tuple[Any, int]]) -> Forgotten:
    """Rewrite the file with what `without` returns for its content: the content to keep, and the number removed."""

    def read() -> tuple[Any, int]:
        return without(read_json(path))

    def rewrite(fresh: Path) -> None:
        fresh.write_text(json.dumps(read()[0], indent=1, ensure_ascii=False), encoding="utf-8")

    return _forget(path, lambda: read()[1], rewrite)


def _forget_lines(path: Path, person: Person) -> Forgotten:
    """Remove the lines of a run's log that show a bad row of the person, such as an error message."""

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
            "was removed from other files stays removed."
        ) from error
