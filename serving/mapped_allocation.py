"""Mapped allocation: the allocation in a ConfigMap, read, and changed by a result of the gate."""

from redrec.config import InputError, parsed_mapping, validated
from redrec.experiments.allocation import Allocation, decided_by, difference
from redrec.experiments.decisions import Result
from serving.config_map import ConfigMap, MapName

MAX_TRIES = 10  # of a change; each loses to another writer


def read_map(name: MapName) -> Allocation:
    """Return the allocation of a ConfigMap.

    Raises:
        InputError: It cannot be read, or has none.
    """
    return _allocation(name, ConfigMap(name).read().content)


def _allocation(name: MapName, content: bytes) -> Allocation:
    return validated(Allocation, parsed_mapping(content, str(name)), str(name))


def act_on_map(name: MapName, result: Result, *, is_applied: bool) -> list[str]:
    """Return what the result changes in a ConfigMap, one sentence each; change it if `is_applied`.

    The change is of the state that was read: if another writer was faster, it is made again from the new state. A
    result that has been applied before changes nothing.

    Raises:
        InputError: The ConfigMap cannot be read or changed, or the result is of another plan.
    """
    config_map = ConfigMap(name)
    for _ in range(MAX_TRIES):
        state = config_map.read()
        old = _allocation(name, state.content)
        new = decided_by(old, result)
        changes = difference(old, new)
        if not changes or not is_applied:
            return changes
        if config_map.replace(state.version, new.model_dump_json(indent=2) + "\n"):
            return changes
    raise InputError(f"{name} was changed by others {MAX_TRIES} times in a row. See who writes to it, and try again.")
