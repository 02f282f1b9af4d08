"""What every test shares: no telemetry, and in CI no test of a cluster, of Spark or of Redis may be skipped."""

import os
from collections.abc import Generator
from typing import Any

import pytest

collect_ignore_glob = ["benchmarks/*"]  # commands, not tests

os.environ.update(DO_NOT_TRACK="1", HF_HUB_DISABLE_TELEMETRY="1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Turn a skipped test of these into a failure where CI=true: there everything it needs must be installed."""
    report = yield
    is_needed = any(item.get_closest_marker(marker) for marker in ("cluster", "spark", "redis"))
    if os.environ.get("CI") == "true" and report.skipped and is_needed:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but CI must run it: {call_reason(report)}"
    return report


def call_reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
