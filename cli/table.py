"""Tables and figures in text."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as aligned columns; the first row is the header.

    >>> print(table([["scenario", "events"], ["ads", "7"]]))
    scenario  events
    ads       7
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def interval(figure: Mapping[str, Any]) -> str:
    """Return value and interval, or why there is none.

    >>> interval({"value": 0.1234, "low": 0.1, "high": 0.15, "users": 70})
    '0.123 [0.100, 0.150]'
    >>> interval({"value": None, "low": None, "high": None, "users": 0})
    'no users'
    >>> interval({"value": 0.0, "low": None, "high": None, "users": 1})
    '0.000 [too few: 1 user]'
    """
    if figure["value"] is None:
        return "no users"
    if figure["low"] is None:
        return f"{figure['value']:.3f} [too few: {figure['users']} user{'s' if figure['users'] > 1 else ''}]"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
