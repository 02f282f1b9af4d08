"""Template: an item's fields as one text; each has its own token budget, so that a long body never displaces the title.

One line per field, in the configured order, absent fields left out: `title: Green tea`, `body: ...`, tags joined by
commas. A line, including its name, is cut at its budget. A single field is written without its name. An item without
text has no tokens.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import PositiveInt

from redrec.config import Config


class TextField(Config):
    name: Literal["title", "body", "tags", "category"]
    max_tokens: PositiveInt


def lines(row: dict[str, Any], fields: Sequence[TextField]) -> Iterator[tuple[str, int]]:
    r"""Yield an item's lines, each with its budget in tokens.

    >>> fields = (TextField(name="title", max_tokens=32), TextField(name="tags", max_tokens=16))
    >>> list(lines({"title": "Green tea", "tags": ["leaf", "organic"]}, fields))
    [('title: Green tea', 32), ('\ntags: leaf, organic', 16)]
    >>> list(lines({"title": "Green tea"}, fields[:1]))
    [('Green tea', 32)]
    """
    texts = ((field, _text(row.get(field.name))) for field in fields)
    for number, (field, text) in enumerate((field, text) for field, text in texts if text):
        label = f"{field.name}: " if len(fields) > 1 else ""
        yield ("\n" if number else "") + label + text, field.max_tokens


def _text(value: str | list[str] | None) -> str:
    return (", ".join(value) if isinstance(value, list) else value or "").strip()
