"""Ledger: every result that the gate gave, one JSON line each, with the plan that it was given by.

Lines are only appended, each in one write. So a gate that is killed leaves a whole ledger, and one that decides the
same data again adds nothing. `replay` decides every line again.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import AwareDatetime, ValidationError

from redrec.config import InputError, Record
from redrec.experiments.decisions import Result
from redrec.experiments.plan import Plan


class Entry(Record):
    decided_at: AwareDatetime
    until: AwareDatetime  # only rows before it counted
    plan: Plan
    result: Result

    def is_same(self, other: "Entry") -> bool:
        """Return whether both are of the same plan and data."""
        own, theirs = self.result, other.result
        return (own.plan_hash, own.input_digest, self.until) == (theirs.plan_hash, theirs.input_digest, other.until)


class Replayed(NamedTuple):
    entry: Entry
    result: Result  # what is decided now

    @property
    def comparison(self) -> str:
        if self.entry.result == self.result:
            return "the same"
        return "differs" if self.entry.result.input_digest == self.result.input_digest else "other data"


def read_ledger(path: Path) -> list[Entry]:
    """Return the entries, the oldest first; an absent file has none.

    Raises:
        InputError: A line is no entry.
    """
    if not path.exists():
        return []
    return [_entry(path, number, line) for number, line in enumerate(path.read_bytes().splitlines(), start=1)]


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        raise InputError(
            f"{path}, line {number} is no entry of a ledger: {error.errors()[0]['msg']}. Give a file that "
            "`redrec gate --ledger` wrote, or restore the line."
        ) from error


def append(path: Path, entry: Entry) -> bool:
    """Append an entry and return True; return False if the ledger has one of the same plan and data."""
    if any(entry.is_same(other) for other in read_ledger(path)):
        return False
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, entry.model_dump_json(by_alias=True).encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    return True


def plan_fault(entries: Sequence[Entry], plan: Plan) -> str | None:
    """Return why the plan is not the one that its experiment began with; None if it is, or has not begun."""
    first = next((entry for entry in entries if entry.plan.experiment == plan.experiment), None)
    if first is None or first.plan.hash() == plan.hash():
        return None
    fields = [name for name in Plan.model_fields if getattr(plan, name) != getattr(first.plan, name)]
    return (
        f"the plan differs from that of {first.decided_at:%Y-%m-%d} in {', '.join(fields)}: {plan.hash()}, "
        f"then {first.plan.hash()}. Give the first plan again, or begin an experiment with another name"
    )


def replay(entries: Sequence[Entry], decide: Callable[[Plan, AwareDatetime], Result]) -> list[Replayed]:
    """Decide every entry again, by its own plan and from the rows that counted then."""
    return [Replayed(entry, decide(entry.plan, entry.until)) for entry in entries]
