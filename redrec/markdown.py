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
        cell = escape(name).replace("|", "&#124;")
        rows.append(f"| {cell} | {verdict} | {reason} |")
    return "\n".join(["| scenario | verdict | reason |", "|---|---|---|", *rows, ""])
