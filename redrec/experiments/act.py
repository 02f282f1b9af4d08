"""Act: a result of the gate changes the allocation that servers follow."""

from pathlib import Path

from redrec.atomic import replaced_file
from redrec.config import load_config
from redrec.experiments.allocation import Allocation, decided_by, difference
from redrec.experiments.decisions import Result


def act(path: Path, result: Result, *, is_applied: bool) -> list[str]:
    """Return what the result changes in an allocation file, one sentence each; write it if `is_applied`.

    The file is replaced in one step, as JSON. A result that has been applied before changes nothing.

    Raises:
        InputError: The file is no allocation, or the result is of another plan.
    """
    old = load_config(Allocation, path)
    new = decided_by(old, result)
    changes = difference(old, new)
    if changes and is_applied:
        with replaced_file(path) as file:
            file.write_text(new.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return changes
