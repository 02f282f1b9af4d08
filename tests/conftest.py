"""For all tests: no telemetry, no skipped cluster, Spark, Redis, browser or Milvus test in CI, and one tiny run."""

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import browser  # noqa: F401  # a fixture
from tests.spark import spark  # noqa: F401  # a fixture

if TYPE_CHECKING:
    from tests.worlds import TinyRun

collect_ignore_glob = ["benchmarks/*"]  # commands, not tests

os.environ.update(DO_NOT_TRACK="1", HF_HUB_DISABLE_TELEMETRY="1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Turn a skipped cluster, Spark, Redis, browser or Milvus test into a failure if CI=true: CI must have what these need."""
    report = yield
    is_needed = any(item.get_closest_marker(marker) for marker in ("cluster", "spark", "redis", "browser", "milvus"))
    if os.environ.get("CI") == "true" and report.skipped and is_needed:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but CI must run it: {call_reason(report)}"
    return report


def call_reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> "TinyRun":
    """One tiny run of the real pipeline on a generated world; tests read it and must not change it."""
    from pipelines.local import run_training
    from redrec.datasets.world import World, WorldConfig
    from redrec.training.presets import tiny
    from tests.worlds import TinyRun

    folder = tmp_path_factory.mktemp("local")
    events, items = World(WorldConfig(num_users=120, num_items=180, seed=1)).write(folder / "input")
    progress: list[str] = []
    run_training(events, items, folder / "run", tiny().model_dump_json(), progress.append)
    return TinyRun(events, items, folder / "run", progress)
