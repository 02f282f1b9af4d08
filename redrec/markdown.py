"""Markdown: the table of verdicts that a run shows in the Kubeflow UI."""

from collections.abc import Mapping
from html import escape


def verdict_table(verdicts: Mapping[str, tuple[str, str]]) -> str:
    """Return a table of each scenario's verdict and reason; a scenario's name is the user's text, so it is escaped.

    >>> print(verdict_table({"a|b": ("pass", "not clearly worse")}), end="")
    | scenario | verdict | reason |
    |---|---|---|
    | a&#124;b | pass | not clearly worse |
    """
    rows = []
    for name, (verdict, reason) in verdicts.items():
        rows.append(f"| {escaped(name)} | {verdict} | {reason} |")
    return "\n".join(["| scenario | verdict | reason |", "|---|---|---|", *rows, ""])


def escaped(text: str) -> str:
    """Return a text of the user's so that HTML and a table's cell read it as one."""
    return escape(text).replace("|", "&#124;")
