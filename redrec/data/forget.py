"""Forget: a user's rows out of tables and examples; a file that holds some is written anew beside its place.

What is left is counted by reading again. Rows stay in their order, and a file without the user's rows stays as it is.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redrec.config import InputError
from redrec.data import columns as c


class Forgotten(NamedTuple):
    """What one place held of the user, and holds now."""

    removed: int
    left: int


class Person(NamedTuple):
    """Who is forgotten: everywhere, or in one scenario."""

    user_id: str
    scenario: str | None = None


IsTheirs = Callable[[pa.RecordBatch], pa.Array]


def check_logs(logs: Sequence[Path], person: Person) -> None:
    """Raise InputError where one is no Parquet file, or lacks a column that says whose a row is."""
    needed = [c.USER_ID] + ([c.SCENARIO] if person.scenario else [])
    for log in logs:
        if not log.is_file() or log.suffix != ".parquet":
            raise InputError(f"--log {log} is no Parquet file. Give one with the columns {', '.join(needed)}.")
        names = pq.read_schema(log).names
        if missing := [name for name in needed if name not in names]:
            raise InputError(f"--log {log} has no column {', '.join(missing)}; it has {', '.join(names)}.")


def forget_in_run(run: Path, logs: Sequence[Path], person: Person) -> dict[str, Forgotten]:
    """Remove the person from a run's tables and examples, and from further tables, which `check_logs` has seen."""
    found = {}
    for path in (run / "users.parquet", *logs):
        found[str(path)] = forget_rows(path, person)
    found[str(run / "quarantine.parquet")] = _forget(run / "quarantine.parquet", lambda rows: _in_text(rows, person))
    found[str(run / "examples.json")] = _forget_examples(run / "examples.json", person.user_id)
    return found


def forget_rows(path: Path, person: Person) -> Forgotten:
    """Remove the person's rows of a Parquet file with a column user_id; without a column scenario it is all of one."""

    def is_theirs(rows: pa.RecordBatch) -> pa.Array:
        is_user = pc.equal(rows[c.USER_ID], person.user_id)
        if person.scenario is None or c.SCENARIO not in rows.schema.names:
            return is_user
        return pc.and_(is_user, pc.equal(rows[c.SCENARIO], person.scenario))

    return _forget(path, is_theirs)


def _in_text(rows: pa.RecordBatch, person: Person) -> pa.Array:
    """Find bad rows, which are kept as text: `user_id=u1, item_id=i9, scenario=ads, ...`."""
    is_theirs = pc.starts_with(rows["row"], f"user_id={person.user_id}, item_id=")
    if person.scenario is None:
        return is_theirs
    return pc.and_(is_theirs, pc.match_substring(rows["row"], f", scenario={person.scenario}, "))


def _forget(path: Path, is_theirs: IsTheirs) -> Forgotten:
    if not (removed := _count(path, is_theirs)):
        return Forgotten(0, 0)
    source, fresh = pq.ParquetFile(path), path.with_name(f".{path.name}.new")
    with pq.ParquetWriter(fresh, source.schema_arrow) as writer:
        for rows in source.iter_batches():
            writer.write_batch(rows.filter(pc.invert(pc.fill_null(is_theirs(rows), False))))
    _replace(path, fresh)
    return Forgotten(removed, _count(path, is_theirs))


def _count(path: Path, is_theirs: IsTheirs) -> int:
    return sum(pc.sum(is_theirs(rows)).as_py() or 0 for rows in pq.ParquetFile(path).iter_batches())


def _forget_examples(path: Path, user_id: str) -> Forgotten:
    """Remove the users shown with their history, which is of all scenarios."""
    examples = json.loads(path.read_text(encoding="utf-8"))
    kept = [example for example in examples if example[c.USER_ID] != user_id]
    if len(kept) < len(examples):
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        _replace(path, fresh)
    left = [example for example in json.loads(path.read_text(encoding="utf-8")) if example[c.USER_ID] == user_id]
    return Forgotten(len(examples) - len(kept), len(left))


def _replace(path: Path, fresh: Path) -> None:
    shutil.copymode(path, fresh)
    os.replace(fresh, path)
