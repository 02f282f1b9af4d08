"""Profile: what is true of a column without a test: it has no value, only one, or values far from all before."""

from typing import Any, NamedTuple

import ibis.expr.types as ir

from redrec.drift.columns import Kind
from redrec.drift.measures import IS_CURRENT

FAR = 0.01  # share of values outside the reference's range by more than its width


class Profile(NamedTuple):
    """Counts of values by window (reference, current)."""

    num_values: tuple[int, int]
    num_infinite: tuple[int, int]
    is_constant: bool
    share_far: float  # of the current values


def profiles(events: ir.Table, types: dict[str, Kind]) -> dict[str, Profile]:
    """Return the profile of each column of a scenario's events."""
    measured: dict[str, ir.Value] = {}
    for number, (name, kind) in enumerate(types.items()):
        measured |= _measured(events[name], kind, number)
    rows = events.group_by(IS_CURRENT).aggregate(**measured).to_pyarrow().to_pylist() if measured else []
    by_window = {row[IS_CURRENT]: row for row in rows}
    seen = [by_window.get(is_current, {}) for is_current in (False, True)]
    far = _share_far(events, types, seen[0])
    return {name: _profile(number, seen, far.get(name, 0.0)) for number, name in enumerate(types)}


def _measured(column: ir.Value, kind: Kind, number: int) -> dict[str, ir.Value]:
    measured = {f"values_{number}": column.count()}
    if kind == "numeric":
        is_finite = ~column.isinf()
        measured |= {f"infinite_{number}": column.isinf().cast("int64").sum()}
        measured |= {f"low_{number}": column.min(where=is_finite), f"high_{number}": column.max(where=is_finite)}
    if kind == "categorical":
        measured |= {f"low_{number}": column.min(), f"high_{number}": column.max()}
    return measured


def _share_far(events: ir.Table, types: dict[str, Kind], reference: dict[str, Any]) -> dict[str, float]:
    """Return, by numeric column, the share of the current values that are far outside the reference's."""
    current = events.filter(events[IS_CURRENT])
    shares = {}
    for number, (name, kind) in enumerate(types.items()):
        low, high = reference.get(f"low_{number}"), reference.get(f"high_{number}")
        if kind == "numeric" and low is not None and high is not None:
            width, value = high - low, current[name]
            is_far = (value < low - width) | (value > high + width)
            shares[name] = is_far.cast("float64").mean(where=~value.isinf())
    if not shares:
        return {}
    (row,) = current.aggregate(**shares).to_pyarrow().to_pylist()
    return {name: share or 0.0 for name, share in row.items()}


def _profile(number: int, seen: list[dict[str, Any]], share_far: float) -> Profile:
    num_values = (seen[0].get(f"values_{number}") or 0, seen[1].get(f"values_{number}") or 0)
    num_infinite = (seen[0].get(f"infinite_{number}") or 0, seen[1].get(f"infinite_{number}") or 0)
    ends = {window.get(f"low_{number}") for window in seen} | {window.get(f"high_{number}") for window in seen}
    is_constant = len(ends) == 1 and None not in ends and not any(num_infinite)
    return Profile(num_values, num_infinite, is_constant, share_far)
