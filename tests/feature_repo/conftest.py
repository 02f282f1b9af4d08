"""A small data folder as `prepare` writes it (60 users, three scenarios, ads sparse), and both online stores."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis import Redis

from tests.redis_server import MISSING, free_port, is_installed, start_redis, stop
from tests.worlds import write_split

SCENARIOS = ["homefeed", "search", "ads"]
START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    number_N = np.arange(2_000)
    events = pa.table(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, 60, len(number_N))],
            "item_id": [f"i{item}" for item in rng.integers(0, 200, len(number_N))],
            "scenario": np.array(SCENARIOS)[rng.choice(3, len(number_N), p=[0.7, 0.28, 0.02])],
            "action": np.array(["click", "like"])[rng.integers(0, 2, len(number_N))],
            # one event each 1 001 ms, so that no two share a second and milliseconds matter
            "timestamp": pa.array((START_MS + 1_001 * number_N) * 1_000, pa.timestamp("us", "UTC")),
        }
    )
    by = [("user_id", "ascending"), ("timestamp", "ascending"), ("item_id", "ascending")]
    pq.write_table(events.sort_by(by), folder / "events.parquet")
    write_split(folder, SCENARIOS, START_MS)
    return folder


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    if not is_installed():
        pytest.skip(MISSING)
    port = free_port()
    server = start_redis(port)
    yield port
    stop(server)


@pytest.fixture
def redis(redis_port, monkeypatch) -> Redis:
    """The online store of this test is an empty Redis."""
    monkeypatch.setenv("REDREC_REDIS", f"localhost:{redis_port}")
    client = Redis(port=redis_port)
    client.flushall()
    return client


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def online_store(request) -> str:
    """A test with this fixture runs on both online stores."""
    if request.param == "redis":
        request.getfixturevalue("redis")
    return request.param
