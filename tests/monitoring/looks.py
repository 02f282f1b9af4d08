"""A page that a test opens: what it asks of others, whether a hostile text ran, and a picture of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser import TIMEOUT_MS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def look(browser: "Browser", url: str, picture: Path | None = None) -> "Iterator[Page]":
    """Open a page; at the end keep a picture of it, and fail if it sent another host a request."""
    requests: list[str] = []
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(TIMEOUT_MS)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    yield page
    if picture:
        page.screenshot(path=picture, full_page=True)
    page.close()
    assert [
        one for one in requests if not one.startswith((url.split("/projects")[0], "data:", "blob:", "file:", "about:"))
    ] == []


def has_run(page: "Page") -> bool:
    """Return whether the script of `tests.monitoring.logs.HOSTILE` has run in the page or in a frame of it."""
    return any(frame.evaluate("Boolean(window.ran)") for frame in page.frames)
