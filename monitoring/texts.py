"""Texts: what users name (categories, columns, scenarios), made safe for every page that shows it.

Evidently writes a report's texts into a `<script>` without escaping them, and so does its service when a report is
downloaded, so a category `</script><img onerror=...>` would run in the reader's browser. Where a browser would begin a
tag it therefore gets a quotation mark that looks like one. Evidently gets no text that has not been through here.
"""

MAX_LABEL = 60  # characters; a longer one would leave no room for the plot
TAG_BEGINS, LOOKS_LIKE_IT = "<", "‹"


def plain(text: str) -> str:
    r"""Return a text that is one line and begins no tag.

    >>> plain("</script>\n<b>")
    '‹/script> ‹b>'
    """
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown.replace(TAG_BEGINS, LOOKS_LIKE_IT)


def label(name: str, max_characters: int = MAX_LABEL) -> str:
    """Return a name as axes, legends and tables show it.

    >>> label("a < b"), label("impressions", 8)
    ('a ‹ b', 'impress…')
    """
    shown = plain(name)
    return shown if len(shown) <= max_characters else shown[: max_characters - 1] + "…"
