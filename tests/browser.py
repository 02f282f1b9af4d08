"""A browser for tests that look at a page, and the words for what such a test needs."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMEOUT_MS = 120_000  # of a busy machine


def in_browser(test):
    """Mark a test that needs a browser; the driver leaves an event loop and sockets to the garbage collector."""
    ignored = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    for mark in (pytest.mark.browser, pytest.mark.filterwarnings(*ignored)):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium, headless; it loads what a test gives it and asks nobody else."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install -y chromium")
    with driver.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])  # root has no sandbox
        yield started
        started.close()
